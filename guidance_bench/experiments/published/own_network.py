"""A network of the user's own in the place of a benchmark's: ``run benchmark=digits backbone=FILE``."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ...core.console import say
from ...core.errors import UserError
from ...networks.backbone import Backbone, BackboneConfig, config_of
from ...networks.checkpoints import checkpoint_file, load_backbone
from ...networks.origin import origin_of
from ...sampling.dry_run import check_method
from ...storage.verified import file_sha256
from ..benchmark import Benchmark, Networks, Setting

#: What a benchmark's recipe fixes of the latents that it decodes.
SHAPE = ("input_size", "in_channels", "num_classes")


class _WithOwnNetwork(Benchmark):
    """Mixed into a benchmark's class by :func:`with_network`."""

    def recipes(self, seed: int) -> dict[str, dict[str, Any]]:
        """The networks by the sha256 of their files, with what these say of their trainings."""
        return {role: self._named(role, source) for role, source in self.own_networks.items()}

    def _named(self, role: str, source: str) -> dict[str, Any]:
        network = self._network_of(role)
        known: BackboneConfig = network.config  # type: ignore[assignment]
        found = {"backbone": known.name, "sha256": file_sha256(checkpoint_file(source))}
        told = self.network_settings.get(role)
        return found | origin_of(network) | ({"settings": dict(told)} if told else {})

    @cached_property
    def _loaded(self) -> dict[str, Backbone]:
        wanted = super().recipes(0)["main"].get("config", {})  # type: ignore[safe-super]
        told = self.network_settings
        found = {role: load_own(source, told.get(role, {})) for role, source in self.own_networks.items()}
        for role, network in found.items():
            has = config_of(network)
            for key in SHAPE:
                if key in wanted and key in has and has[key] != wanted[key]:
                    word = "backbone" if role == "main" else role
                    needs = f"benchmark {self.name!r} needs {wanted[key]}"
                    raise UserError(f"{word}={self.own_networks[role]!r} has {key}={has[key]}, {needs}")
        return found

    def _network_of(self, role: str) -> Backbone:
        return self._loaded[role]

    def networks(self, seed: int, folder: Path, device: torch.device) -> Networks:
        """The user's networks; nothing is trained."""
        loaded = {role: network.to(device) for role, network in self._loaded.items()}
        facts = {
            role: {
                "sha256": file_sha256(checkpoint_file(source)),
                "parameters": sum(p.numel() for p in loaded[role].parameters()),
            }
            for role, source in self.own_networks.items()
        }
        return Networks(loaded["main"], loaded.get("weak"), facts)

    def line_up(self) -> list[Setting]:
        """The benchmark's, without what these networks cannot serve, which is said."""
        settings = super().line_up()  # type: ignore[safe-super]
        kept: list[Setting] = []
        refused: dict[str, str] = {}
        for setting in settings:
            try:
                check_method(setting.create(), self._loaded["main"], self._loaded.get("weak"), self.default_solver())
            except UserError as error:
                refused.setdefault(setting.method, str(error))
                continue
            kept.append(setting)
        for method, why in refused.items():
            say(f"{method} is left out: {why}")
        return kept


def load_own(source: str, settings: Mapping[str, Any], **known: Any) -> Backbone:
    """:func:`guidance_bench.load_backbone` with what a user says of the file.

    Args:
        source: of the checkpoint.
        settings: what its tensors do not tell: ``num_heads``, ``tap``, ``layout``, ``weights``, ...
        known: the same by a benchmark's declaration.

    Raises:
        UserError: as it; a setting that is no matter of the file.
    """
    for name in ("device", "dtype"):
        if name in settings:
            raise UserError(f"backbone.{name}= is not told of a network's file: run has device= and precision=")
    texts = {name: str(settings[name]) for name in ("layout", "weights") if name in settings}
    return load_backbone(source, **{**known, **settings, **texts})


def with_settings(benchmark: Benchmark, settings: Mapping[str, Mapping[str, Any]]) -> Benchmark:
    """The benchmark with what the files of its networks do not tell, by role: "main" and "weak".

    Raises:
        UserError: a network that is none of the user's own.
    """
    for role in settings:
        if role not in benchmark.own_roles():
            word = "backbone" if role == "main" else role
            raise UserError(f"{word}.{next(iter(settings[role]))}= goes with a network of your own: {word}=FILE")
    made = copy.copy(benchmark)
    vars(made)["network_settings"] = settings
    return made


def with_network(
    benchmark: Benchmark, backbone: str, weak: str = "", settings: Mapping[str, Mapping[str, Any]] | None = None
) -> Benchmark:
    """The benchmark with other networks; data, solver, labels and evaluator stay.

    Args:
        benchmark: any; it is not changed.
        backbone: file, known name, "org/repo:file" or URL of the main network's checkpoint.
        weak: of autoguidance's weaker one; "": there is none.
        settings: what their files do not tell, by role (:func:`with_settings`).

    Raises:
        UserError: the files cannot be had, are no checkpoints, or do not fit the benchmark's latents.
    """
    made = copy.copy(benchmark)
    made.__class__ = type(type(benchmark).__name__, (_WithOwnNetwork, type(benchmark)), {})
    vars(made)["own_networks"] = {"main": backbone, **({"weak": weak} if weak else {})}
    made = with_settings(made, settings or {})
    made._network_of("main")  # type: ignore[attr-defined]
    return made
