"""Run configuration in Hydra: every registered dataclass is a config group's option, its fields the schema."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from ..core.parameters import Configurable, Parameter
from ..core.registry import Registry
from ..guidance.method import METHODS
from ..sampling.solvers import SOLVERS
from .benchmark import BENCHMARKS

#: Config groups and the registries behind them.
GROUPS: dict[str, Registry[Any]] = {"benchmark": BENCHMARKS, "method": METHODS, "solver": SOLVERS}


@dataclass
class RunConfig:
    """``guidance-bench run``: what to run and where."""

    defaults: list[Any] = field(
        default_factory=lambda: [
            "_self_",
            {"benchmark": "digits"},
            {"method": None},
            {"solver": None},
            {"override hydra/job_logging": "none"},
            {"override hydra/hydra_logging": "none"},
        ]
    )
    benchmark: Any = None
    method: Any = None
    solver: Any = None
    #: a published row of the benchmark, or "all"
    row: str | None = None
    #: a backbone that the benchmark declares, or a checkpoint (file, known name, org/repo:file, URL); a weaker one
    backbone: str | None = None
    weak: str | None = None
    #: files instead of downloads, for benchmarks at published checkpoints
    checkpoint: str | None = None
    vae: str | None = None
    reference: str | None = None
    #: one seed, or several, instead of the benchmark's own
    seed: int | None = None
    seeds: list[int] | None = None
    #: whether the line-up runs beside the method; None: where the method comes with a grid
    lineup: bool | None = None
    #: samples in one forward pass; None: a whole block of the protocol. Changes rounding only.
    batch: int | None = None
    #: of the networks; None: the benchmark's own
    precision: str | None = None
    #: run the networks through torch.compile. Changes rounding only.
    compile: bool = False
    output: str = "outputs"
    #: a folder whose records count as done; "committed": those that come with the project
    records: str | None = None
    device: str = "auto"
    #: users' files as "group:path"; the method's grid, and what is told of the networks' files, as JSON; all
    #: percent-encoded (OmegaConf would read "${" in them): a cluster's job starts from nothing else
    plugins: list[str] = field(default_factory=list)
    grid: str = ""
    settings: str = ""
    hydra: Any = field(
        default_factory=lambda: {
            "run": {"dir": "."},
            "sweep": {"dir": "${output}", "subdir": "."},
            "output_subdir": None,
            "job": {"chdir": False},
        }
    )


#: Types of values that Hydra checks itself.
PLAIN = {bool, int, float, str}

#: Fields of the run configuration that are not the user's to set.
HIDDEN = ("defaults", "plugins", "grid", "settings", "hydra")


def register_configs(plugins: Sequence[str] = (), grid: str = "", settings: str = "") -> None:
    """Put every registered class and the run configuration into Hydra's store, which travels with each job."""
    store = ConfigStore.instance()
    store.store(name="run", node=RunConfig(plugins=list(plugins), grid=grid, settings=settings))
    for group, registry in GROUPS.items():
        for name in registry.names():
            store.store(group=group, name=name, node=schema(name, registry.parameters(name)))


def schema(name: str, parameters: Sequence[Parameter]) -> type:
    """A dataclass for Hydra with the same fields and the registered name; ranges are checked by the class itself."""
    fields: list[Any] = [("name", str, name)]
    for p in parameters:
        default: Any = (
            field(default_factory=lambda p=p: list(p.default)) if isinstance(p.default, (tuple, list)) else p.default
        )
        fields.append((p.name, _hydra_type(p.type), default))
    return dataclasses.make_dataclass(f"Schema_{name.replace('-', '_')}", fields)


def _hydra_type(hint: Any) -> Any:
    """The type as Hydra knows it; Any where it knows none, for the class itself checks its values."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (tuple, list):
        kinds = {a for a in arguments if a is not Ellipsis}
        return types.GenericAlias(list, arguments[:1]) if len(kinds) == 1 and kinds <= PLAIN else Any
    if origin in (typing.Union, types.UnionType):
        kinds = set(arguments) - {type(None)}
        return hint if len(kinds) == 1 and kinds <= PLAIN else Any
    return hint if hint in PLAIN else Any


def build(group: str, node: DictConfig | None) -> Any:
    """The instance that a group's configuration describes; None where nothing was chosen."""
    if node is None:
        return None
    values: Mapping[str, Any] = OmegaConf.to_container(node, resolve=True)  # type: ignore[assignment]
    parameters = {k: v for k, v in values.items() if k != "name"}
    instance: Configurable = GROUPS[group].create(values["name"], **parameters)
    return instance
