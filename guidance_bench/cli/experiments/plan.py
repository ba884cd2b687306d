"""What a configuration asks for, checked; nothing is made yet."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from omegaconf import DictConfig, OmegaConf

from ...core.environment import pick_device
from ...core.errors import UserError, unknown
from ...core.identity import canonical
from ...experiments.benchmark import BENCHMARKS, Benchmark, Setting, select
from ...experiments.hydra_schema import build
from ...experiments.published.own_network import with_network, with_settings
from ...experiments.runner import Runner
from ...experiments.workspace import Workspace
from ...guidance.method import METHODS, Guidance
from ...storage.hub import fetch

#: Options of ``run`` that are fields of the benchmarks that have them.
FIELDS = ("row", "backbone", "weak", "checkpoint", "vae", "reference")


@dataclass(frozen=True)
class Plan:
    """One job.

    Attributes:
        benchmark: with its fields.
        own: settings that are asked for.
        others: those of the line-up.
        beside: whether the line-up runs too.
        seeds: of the runs.
        runner: of all of them.
    """

    benchmark: Benchmark
    own: list[Setting]
    others: list[Setting]
    beside: bool
    seeds: tuple[int, ...]
    runner: Runner

    @property
    def settings(self) -> list[Setting]:
        """All, each once, by what it makes."""
        every = [*self.own, *self.others]
        found = {canonical([s.method, s.create().parameters()]): s for s in reversed(every)}
        return [s for s in every if s in found.values()]


def plans(config: DictConfig) -> tuple[list[Plan], dict[str, str]]:
    """The jobs of a configuration, most often one; ``row=all`` is one for each row that can be run.

    Returns:
        The jobs, and of the rows that cannot be run why not.

    Raises:
        UserError: what cannot be run, where it is not one of all rows.
    """
    if config.row != "all":
        return [plan_of(config)], {}
    found, refused = [], {}
    for row in rows_of(config):
        plan = None
        try:
            plan = plan_of(OmegaConf.merge(config, {"row": row}))  # type: ignore[arg-type]
            plan.runner.specify(plan.others[0], plan.seeds[0])
            _fetch_all(plan.benchmark)
        except UserError as error:
            refused[row] = f"{error}{_also_missing(plan.benchmark, str(error)) if plan else ''}"
        else:
            found.append(plan)
    return found, refused


def _fetch_all(benchmark: Benchmark) -> None:
    """Everything that the row's run needs, before any row is run."""
    for _, file in benchmark.wanted():
        if not file.here:
            fetch(file.source)


def _also_missing(benchmark: Benchmark, said: str) -> str:
    try:
        missing = [(purpose, file) for purpose, file in benchmark.wanted() if not file.here and file.address]
    except UserError:
        return ""
    words = [f"{purpose} {file.path.name}" for purpose, file in missing if file.path.name not in said]
    return f"; also missing: {', '.join(words)}" if words else ""


def _benchmark(config: DictConfig) -> Benchmark:
    if config.benchmark is None:
        raise UserError(f"no benchmark is chosen: benchmark=NAME (known: {', '.join(BENCHMARKS.names())})")
    given = {name: config[name] for name in FIELDS if config[name] is not None}
    has = {p.name for p in BENCHMARKS.parameters(config.benchmark.name)}
    own = {name: given.pop(name) for name in list(given) if name in has}
    rows = sorted(n for n in BENCHMARKS.names() if "row" in {p.name for p in BENCHMARKS.parameters(n)})
    for name in given:
        if name not in ("backbone", "weak"):
            raise UserError(f"benchmark {config.benchmark.name!r} has no {name}= ({', '.join(rows)} have)")
    if "weak" in given and "backbone" not in given:
        raise UserError("weak= goes with backbone=: give both networks")
    made: Benchmark = build("benchmark", OmegaConf.create({**OmegaConf.to_container(config.benchmark), **own}))  # type: ignore[dict-item]
    settings = json.loads(unquote(config.settings) or "{}")
    if not given:
        return with_settings(made, settings)
    return with_network(made, given["backbone"], given.get("weak", ""), settings)


def rows_of(config: DictConfig) -> list[str]:
    """The published rows of a configuration's benchmark, of one backbone where that is given.

    Raises:
        UserError: it has none, none of that backbone, or one checkpoint is given for all backbones.
    """
    benchmark = _benchmark(config)
    rows: dict[str, Any] = benchmark.declared.rows  # type: ignore[attr-defined]
    if config.backbone is not None:
        found = [name for name, row in rows.items() if row.backbone == config.backbone]
        if not found:
            raise unknown("backbone with published rows", str(config.backbone), {row.backbone for row in rows.values()})
        return found
    if config.checkpoint is not None:
        raise UserError("row=all has rows of several backbones: give backbone=NAME with checkpoint=FILE")
    return list(rows)


def plan_of(config: DictConfig) -> Plan:
    """The one job of a configuration.

    Raises:
        UserError: a name, field or file that cannot be used.
    """
    benchmark = _benchmark(config)
    method = build("method", config.method)
    solver = build("solver", config.solver) or benchmark.default_solver()
    grid = json.loads(unquote(config.grid) or "{}")
    own = [] if method is None else grid_of(method, grid)
    beside = method is None or (bool(grid) if config.lineup is None else config.lineup)
    others = select(benchmark.line_up(), _known_methods(benchmark)) if beside else []
    seeds = _seeds(config, benchmark)
    batch = _batch(config.batch)
    workspace = Workspace(config.output, config.records)
    fast = {"precision": config.precision or "", "compile": config.compile}
    runner = Runner(benchmark, solver, workspace, pick_device(config.device), batch, **fast)
    return Plan(benchmark, own, others, beside, seeds, runner)


def grid_of(method: Guidance, grid: dict[str, list[Any]]) -> list[Setting]:
    """A setting for each combination of the grid's values; what it does not name is as in ``method``."""
    base = method.parameters()
    points = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    made = [METHODS.create(method.name, **{**base, **point}) for point in points]
    return [Setting(one.name, one.parameters()) for one in made]


def _seeds(config: DictConfig, benchmark: Benchmark) -> tuple[int, ...]:
    if config.seed is not None and config.seeds is not None:
        raise UserError(f"seed={config.seed} and seeds={list(config.seeds)} exclude each other")
    if config.seeds is not None:
        seeds = tuple(config.seeds)
        if not seeds:
            raise UserError("seeds=[] names no seed: seeds=0,1,2")
    else:
        seeds = benchmark.seeds if config.seed is None else (config.seed,)
        if not seeds:
            raise UserError("benchmark.seeds=[] names no seed: seeds=0,1,2")
    for seed in seeds:
        if not 0 <= seed < 2**64:
            raise UserError(f"seed={seed} is outside 0..2^64 - 1")
    return tuple(dict.fromkeys(seeds))


def _known_methods(benchmark: Benchmark) -> tuple[str, ...]:
    offered = {setting.method for setting in benchmark.line_up()}
    for name in benchmark.methods:
        METHODS.entry(name)
        if name not in offered:
            raise UserError(
                f"benchmark {benchmark.name!r} has no grid for {name!r} (it has: {', '.join(sorted(offered))})"
            )
    return benchmark.methods


def _batch(batch: int | None) -> int | None:
    if batch is not None and batch < 1:
        raise UserError(f"batch={batch} is less than one sample")
    return batch
