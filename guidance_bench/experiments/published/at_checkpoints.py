"""A benchmark of its declarative file: networks at published checkpoints, latents, ADM's reference and metrics."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...core.errors import UserError
from ...core.parameters import param
from ...evaluation.reference import load_reference
from ...features.extraction import extract
from ...features.extractors import extractors_for
from ...features.feature_set import FeatureSet
from ...features.inception_weights import wanted_weights
from ...features.kept import FeatureMaker
from ...metrics.base import METRICS
from ...networks.autoencoders.base import AUTOENCODERS, Autoencoder, load_autoencoder
from ...networks.backbone import Backbone, config_of
from ...networks.checkpoints import checkpoint_file
from ...networks.origin import origin_of
from ...sampling.solvers import SOLVERS, Solver
from ...storage.hub import Wanted, fetch, wanted
from ...storage.image_sets import ImageSource
from ...storage.verified import file_sha256
from ..benchmark import Benchmark, Evaluator, Networks, Setting
from .declaration import Declaration, DeclaredBackbone, Named, PublishedRow, read_declaration
from .own_network import load_own

#: Images a pass of the feature network.
BATCH = 32


@dataclass
class CheckpointBenchmark(Benchmark):
    """Base of benchmarks that are declared in a file; a plug-in is a class with ``file`` and a decorator.

    Attributes:
        file: the JSON file (:mod:`.declaration`), beside the class's own.
    """

    file: ClassVar[str] = ""
    places: ClassVar[tuple[str, ...]] = ("row", "backbone", "checkpoint", "weak", "vae", "reference")
    primary = "fid"
    together = True

    seeds: tuple[int, ...] = param((0,), doc="each draws its own samples")
    methods: tuple[str, ...] = param((), doc="methods of the line-up; empty: all")
    samples: int = param(50_000, low=4, doc="samples a run")
    block: int = param(250, low=1, doc="samples made together")
    labels: str = param("random", choices=("balanced", "random"), doc="label policy")
    row: str = param("", doc="a published row: its backbone, method, solver and labels")
    backbone: str = param("", doc="a declared backbone, or a checkpoint: file, org/repo:file, URL")
    checkpoint: str = param("", doc="the backbone's checkpoint, instead of its download")
    weak: str = param("", doc="checkpoint of autoguidance's weaker network")
    vae: str = param("", doc="the autoencoder's weights, instead of their download")
    reference: str = param("", doc="the reference's statistics, instead of their download")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.row or self.row == "all":
            self.backbone = self.backbone or self.declared.backbone
            return
        row = self.published_row
        if self.backbone not in ("", row.backbone):
            raise UserError(f"row {self.row!r} is of backbone {row.backbone!r}, not {self.backbone!r}")
        self.backbone, self.labels = row.backbone, row.labels

    @classmethod
    def declaration(cls) -> Declaration:
        """The benchmark's declarative file.

        Raises:
            UserError: it is missing or wrong.
        """
        owner = next(c for c in cls.__mro__ if vars(c).get("file"))
        module = Path(str(sys.modules[owner.__module__].__file__)).resolve()
        return read_declaration(module.parent / str(vars(owner)["file"]))

    @property
    def declared(self) -> Declaration:
        """The same."""
        return self.declaration()

    @property
    def published_row(self) -> PublishedRow:
        """The row that is asked for; :class:`UserError` where there is no such row."""
        return self.declared.row(self.row)

    @property
    def about(self) -> DeclaredBackbone:
        """The backbone as it is declared; one of the user's own has what goes with its latents.

        Raises:
            UserError: its latents are those of no declared backbone.
        """
        backbones = self.declared.backbones
        if self.backbone in backbones:
            return backbones[self.backbone]
        channels = self._main.shape[0]
        for known in backbones.values():
            if channels == _channels(known.autoencoder):
                return known.model_copy(
                    update={"title": self.backbone, "checkpoint": self.backbone, "layout": "auto", "settings": {}}
                )
        raise UserError(f"backbone={self.backbone!r} works on {channels} channels: no declared autoencoder has so many")

    def checkpoint_source(self) -> str:
        """Where the backbone comes from, as :func:`guidance_bench.load_backbone` takes it.

        Raises:
            UserError: no checkpoint of it was published and none is given.
        """
        if self.checkpoint:
            return self.checkpoint
        known = self.declared.backbones.get(self.backbone)
        source = known.checkpoint if known else self.backbone
        if source is None:
            raise UserError(f"no checkpoint of {self.backbone!r} was published: give checkpoint=FILE of your own")
        return source

    @cached_property
    def _main(self) -> Backbone:
        known = self.declared.backbones.get(self.backbone)
        declared = {"layout": known.layout, **known.settings} if known else {}
        return load_own(self.checkpoint_source(), self.network_settings.get("main", {}), **declared)

    @cached_property
    def _weak(self) -> Backbone | None:
        return load_own(self.weak, self.network_settings.get("weak", {})) if self.weak else None

    def own_roles(self) -> set[str]:
        """The backbone where it is not the published one, and a weaker network."""
        own = self.checkpoint or self.backbone not in self.declared.backbones
        return {*(["main"] if own else []), *(["weak"] if self.weak else [])}

    def line_up(self) -> list[Setting]:
        """The row; without one, what was published of the backbone with random labels, else no guidance and CFG."""
        if self.row and self.row != "all":
            return [Setting(self.published_row.method, dict(self.published_row.parameters))]
        rows = [r for r in self.declared.rows.values() if r.backbone == self.backbone and r.labels == "random"]
        found = {(r.method, str(r.parameters)): Setting(r.method, dict(r.parameters)) for r in rows}
        return list(found.values()) or [Setting("none", {}), Setting("cfg", {})]

    def default_solver(self) -> Solver:
        """The authors'."""
        chosen: Named = self.declared.solver(self.published_row) if self.row not in ("", "all") else self.about.solver
        return SOLVERS.create(chosen.name, **chosen.parameters)

    def protocol(self) -> dict[str, Any]:
        """Name, version, and the autoencoder with the hashes of its weights."""
        found = super().protocol()
        return {**found, "autoencoder": self._autoencoder_identity()}

    def _autoencoder_identity(self) -> dict[str, Any]:
        vae = self._autoencoder
        return {"name": vae.name, "weights": sorted(vae.weights.values()), "uint8_rule": vae.uint8_rule}

    def _autoencoder_choice(self) -> tuple[str, dict[str, Any]]:
        """Name and parameters; ``vae=PATH`` replaces the weights, ``vae=taesd:PATH`` the autoencoder."""
        chosen = self.about.autoencoder
        name, parameters = chosen.name, dict(chosen.parameters)
        if self.vae:
            kind, colon, path = self.vae.partition(":")
            name, source = (kind, path) if colon and kind in ("taesd", "sd_vae_ema", "sd_vae_mse") else (name, self.vae)
            parameters["source"] = source
        return name, parameters

    @cached_property
    def _autoencoder(self) -> Autoencoder:
        name, parameters = self._autoencoder_choice()
        made, needs = load_autoencoder(name, **parameters), _channels(self.about.autoencoder)
        if made.channels != needs:
            raise UserError(f"vae={self.vae!r} decodes {made.channels} channels; {self.backbone!r} makes {needs}")
        return made

    def recipes(self, seed: int) -> dict[str, dict[str, Any]]:
        """The networks by the sha256 of their files; the files are fetched where they are not here."""
        own = {} if self.backbone in self.declared.backbones else origin_of(self._main)
        found = {"main": self._identity("main", self.checkpoint_source()) | own}
        return found | ({"weak": self._identity("weak", self.weak) | origin_of(self._weak)} if self._weak else {})

    def _identity(self, role: str, source: str) -> dict[str, Any]:
        known = self.declared.backbones.get(self.backbone) if role == "main" else None
        settings = {**(known.settings if known else {}), **self.network_settings.get(role, {})}
        return {
            "backbone": known.layout.partition("_")[0] if known and known.layout != "auto" else "checkpoint",
            "name": self.backbone if known else "own",
            "sha256": file_sha256(checkpoint_file(source)),
            **({"settings": settings} if known or settings else {}),
        }

    def networks(self, seed: int, folder: Path, device: torch.device) -> Networks:
        """The checkpoints, loaded; what the evaluation needs is fetched too, before there are samples."""
        self.reference_file()
        self.inception_file()
        main = self._main.to(device)
        weak = self._weak.to(device) if self._weak is not None else None
        if main.shape[0] != self._autoencoder.channels:
            of = f"the checkpoint {self.checkpoint_source()!r} makes {main.shape[0]} channels"
            raise UserError(f"{of}, the autoencoder {self._autoencoder.name} decodes {self._autoencoder.channels}")
        if main.num_classes != self.num_classes:
            raise UserError(f"{self.name} has {self.num_classes} classes, the backbone {main.num_classes}")
        facts = {"main": self._facts(self.checkpoint_source(), main)}
        return Networks(main, weak, facts | ({"weak": self._facts(self.weak, weak)} if weak is not None else {}))

    def _facts(self, source: str, network: Backbone) -> dict[str, Any]:
        parameters = sum(p.numel() for p in network.parameters())
        return {
            "sha256": file_sha256(checkpoint_file(source)),
            "source": _said(source),
            "parameters": parameters,
            "config": config_of(network),
        }

    def evaluator(self, folder: Path, device: torch.device) -> Evaluator:
        """Inception's features against the reference's statistics."""
        needs = tuple(dict.fromkeys(n for m in self.metrics for n in METRICS.create(m).needs))
        maker = FeatureMaker(extractors_for(needs, self.inception_file(), device), needs, BATCH)

        def make(source: ImageSource, names: Any) -> FeatureSet:
            return extract(source, maker.extractors, names, BATCH, folder / "reference")

        found = load_reference(self.reference_file(), needs, make)
        source = self.reference or self.declared.protocol.reference
        about = {k: v for k, v in found.identity.items() if k != "path"} | {"source": _said(source)}
        networks = [extractor.identity() for extractor in maker.extractors]
        return Evaluator("inception", maker, found.features, {"networks": networks, "reference": about})

    def inception_file(self) -> Path | None:
        """Inception's weights, with the classifier where the Inception Score is asked for; None: as found.

        Raises:
            UserError: they are not here and cannot be fetched.
        """
        chosen = wanted_weights("inception_score" in self.metrics)
        return chosen.path if chosen.here else fetch(chosen.source)

    def wanted(self) -> list[tuple[str, Wanted]]:
        """Checkpoint, autoencoder with its statistics, reference, and Inception's weights with the classifier."""
        known = self.declared.backbones.get(self.backbone)
        if known is not None and known.checkpoint is None and not self.checkpoint:
            lost = f"no checkpoint of {self.backbone!r} was published: give checkpoint=FILE of your own"
            found = [("checkpoint", Wanted(lost, Path(), "", 0, False))]
        else:
            found = [("checkpoint", wanted(self.checkpoint_source()))]
        found += [("weak network", wanted(self.weak))] if self.weak else []
        if known is not None or found[0][1].here:
            found += [("autoencoder", wanted(source)) for source in self._autoencoder_sources()]
        found.append(("reference", wanted(self.reference or self.declared.protocol.reference)))
        return [*found, ("Inception", wanted_weights("inception_score" in self.metrics))]

    def _autoencoder_sources(self) -> list[str]:
        name, parameters = self._autoencoder_choice()
        config = AUTOENCODERS.create(name, **parameters)
        source = str(getattr(config, "source", ""))
        beside = ["va-vae-statistics"] if source == "va-vae" and getattr(config, "statistics", "") == "auto" else []
        return [source, *beside] if source else []

    def reference_path(self) -> Path | None:
        """The reference's file."""
        return self.reference_file()

    def image_bytes(self) -> int:
        """Three bytes a pixel."""
        _, height, width = self._main.shape
        return 3 * height * width * self._autoencoder.factor**2

    def reference_file(self) -> Path:
        """The reference, fetched where it is not here."""
        return fetch(self.reference or self.declared.protocol.reference)

    def decode(self, latents: Tensor) -> NDArray[np.uint8]:
        """Through the autoencoder, by its uint8 rule."""
        vae = self._autoencoder.to(latents.device)
        return vae.to_images(latents.float()).cpu().numpy()

    @property
    def num_classes(self) -> int:
        """As the file declares."""
        return self.declared.protocol.num_classes


def _channels(autoencoder: Named) -> int:
    return 32 if autoencoder.name == "va_vae" else 4


def _said(source: str) -> str:
    """A source as a record names it; where a file lies is each machine's own."""
    return "a file" if Path(source).expanduser().exists() else source
