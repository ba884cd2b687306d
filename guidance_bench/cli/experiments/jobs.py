"""Hydra jobs: from overrides to runs, records and the leaderboard."""

from __future__ import annotations

import itertools
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

import hydra
import torch
from hydra import compose, initialize
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from ...core.console import say
from ...core.environment import check_torchvision, pick_device
from ...core.errors import UserError
from ...core.identity import canonical
from ...core.processes import begin, is_first
from ...experiments.benchmark import BENCHMARKS, Benchmark, Setting, select
from ...experiments.hydra_schema import build, register_configs
from ...experiments.runner import Runner
from ...experiments.selection import superseded
from ...experiments.workspace import Workspace
from ...guidance.method import METHODS, Guidance
from .overrides import checked, ensure_loaded, first_lines, load_plugin

#: Points of a sweep that are checked before the first is run.
MOST_CHECKED = 100
#: Records of this process's runs, in order; a sweep's table is made of them.
_records: list[dict[str, Any]] = []
#: The user's mistake that stopped the jobs: Hydra would print more than one line about it.
_mistakes: list[UserError] = []
#: The process that reads the two lists above; a launcher's workers (submitit's) answer through Hydra instead.
_home: int | None = None


def launch(flags: Sequence[str], overrides: Sequence[str]) -> int:
    """Give the overrides to Hydra and let it call :func:`job`; returns the exit status.

    Raises:
        UserError: as :func:`guidance_bench.cli.experiments.run.command`.
    """
    check_torchvision()
    plugins: list[str] = []
    overrides, grid = checked([load_plugin(override, plugins) for override in overrides])
    register_configs([quote(p) for p in plugins], grid)
    multirun = "-m" in flags or "--multirun" in flags
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us as they are
    if all(flag in ("-m", "--multirun") for flag in flags):
        _check_jobs(overrides)
    global _home
    _home = os.getpid()
    _records.clear()
    saved, sys.argv = sys.argv, ["guidance-bench run", *overrides, *flags]
    root = logging.getLogger()
    logs = root.handlers[:], root.level  # --info lets everything speak
    try:
        hydra.main(version_base="1.3", config_path=None, config_name="run")(job)()
    except (HydraException, OmegaConfBaseException, OSError) as error:
        raise UserError(first_lines(error)) from error
    finally:
        sys.argv = saved
        root.handlers[:], root.level = logs
    if _mistakes:
        raise _mistakes.pop()
    if multirun and len(flags) == 1:
        _show_sweep(overrides)
    return 0


def job(config: DictConfig) -> None:
    """One Hydra job; after a user's mistake the jobs that follow are not begun."""
    if _mistakes:
        return
    try:
        for plugin in config.plugins:
            ensure_loaded(*unquote(plugin).split(":", 1))
        run_configured(config)
    except (UserError, OmegaConfBaseException) as error:
        mistake = error if isinstance(error, UserError) else UserError(first_lines(error))
        if os.getpid() != _home:
            raise mistake from error
        _mistakes.append(mistake)


def _check_jobs(overrides: Sequence[str]) -> None:
    """Raise the mistakes of every job before Hydra, which makes folders before it calls the first."""
    own = [word for word in overrides if not word.startswith(("hydra.", "hydra/"))]
    try:
        jobs = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(own), None)[0]
        with initialize(version_base="1.3", config_path=None):
            for words in jobs[:MOST_CHECKED]:
                _plan(compose("run", overrides=list(words)))
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(first_lines(error)) from error


@dataclass(frozen=True)
class _Plan:
    """What a configuration asks for, checked; nothing is made yet."""

    benchmark: Benchmark
    own: list[Setting]
    others: list[Setting]
    beside: bool
    seeds: tuple[int, ...]
    runner: Runner


def _plan(config: DictConfig) -> _Plan:
    benchmark: Benchmark | None = build("benchmark", config.benchmark)
    if benchmark is None:
        raise UserError(f"no benchmark is chosen: benchmark=NAME (known: {', '.join(BENCHMARKS.names())})")
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
    return _Plan(benchmark, own, others, beside, seeds, runner)


def run_configured(config: DictConfig) -> None:
    """A line-up, a method's settings beside it, or a single method."""
    plan = _plan(config)
    runner, workspace = plan.runner, plan.runner.workspace
    runner.device = begin(runner.device)
    torch.set_float32_matmul_precision("highest")
    records = runner.run_all(_distinct([*plan.own, *plan.others]), plan.seeds)
    _records.extend(records)
    if not is_first():
        return
    if plan.beside:
        _publish(plan.benchmark, workspace, records)
    elif len(plan.own) > 1:
        _show_table(records)
    else:
        _show_records(records, workspace)


def grid_of(method: Guidance, grid: dict[str, list[Any]]) -> list[Setting]:
    """A setting for each combination of the grid's values; what it does not name is as in ``method``."""
    base = method.parameters()
    points = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    made = [METHODS.create(method.name, **{**base, **point}) for point in points]
    return [Setting(one.name, one.parameters()) for one in made]


def _distinct(settings: Sequence[Setting]) -> list[Setting]:
    """Each once, by what it makes."""
    found = {canonical([s.method, s.create().parameters()]): s for s in reversed(settings)}
    return [s for s in settings if s in found.values()]


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


def _publish(benchmark: Benchmark, workspace: Workspace, records: Sequence[dict[str, Any]]) -> None:
    """One board for all that was run under the protocol: this call's records and earlier ones beside them.

    Not runs of a plug-in whose code has changed since.
    """
    from ...leaderboard.publish import publish

    found = workspace.beside(records)
    old = superseded(found) - {record["run_id"] for record in records}
    if old:
        say(f"{len(old)} runs of earlier code are left out (guidance-bench leaderboard {workspace.folder} shows them)")
    publish(
        [record for record in found if record["run_id"] not in old],
        workspace.leaderboard(benchmark.name),
        stores=workspace.folder,
    )


def _show_records(records: Sequence[dict[str, Any]], workspace: Workspace) -> None:
    for record in records:
        metrics = "  ".join(f"{name} {value['mean']:.4g}" for name, value in record["metrics"].items())
        say(f"{metrics}\n  record: {workspace.record_path(record['run_id'])}")


def _show_table(records: Sequence[dict[str, Any]]) -> None:
    from ...leaderboard.publish import sweep_table

    say(sweep_table(records))


def _show_sweep(overrides: Sequence[str]) -> None:
    if not _records:  # made by other processes
        output = next((o.split("=", 1)[1] for o in reversed(overrides) if o.startswith("output=")), "outputs")
        say(f"all jobs are done; their table: guidance-bench leaderboard {output}")
    elif is_first():
        _show_table(_records)


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
