"""Hydra jobs: from overrides to runs, records and the leaderboard."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
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
from ...core.environment import check_torchvision
from ...core.errors import UserError
from ...core.processes import begin, is_first, turn
from ...experiments.benchmark import Benchmark
from ...experiments.hydra_schema import register_configs
from ...experiments.selection import superseded
from ...experiments.workspace import Workspace
from .overrides import checked, ensure_loaded, first_lines, load_plugin
from .plan import Plan, plans

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
    overrides, *hidden = checked([load_plugin(override, plugins) for override in overrides])
    register_configs([quote(p) for p in plugins], *hidden)
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
                for plan in plans(compose("run", overrides=list(words)))[0]:
                    plan.runner.rehearse(plan.settings, plan.seeds[0])
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(first_lines(error)) from error


def run_configured(config: DictConfig) -> None:
    """A line-up, a method's settings beside it, a single method, or published rows."""
    found, refused = plans(config)
    for row, why in refused.items():
        say(f"row {row} is left out: {why}")
    if not found:
        raise UserError(f"no row can be run; the first: {next(iter(refused.values()))}")
    failed = []
    while found:  # what a row holds in memory goes before the next
        plan = found.pop(0)
        try:
            _run(plan)
        except UserError as error:
            if config.row != "all" or turn()[1] > 1:  # other processes have left
                raise
            failed.append(str(plan.benchmark.parameters()["row"]))
            say(f"row {failed[-1]} failed: {error}")
    if failed:
        raise UserError(
            f"failed: {', '.join(failed)}; the same command goes on with {'it' if len(failed) == 1 else 'them'}"
        )


def _run(plan: Plan) -> None:
    runner, workspace = plan.runner, plan.runner.workspace
    runner.device = begin(runner.device)
    torch.set_float32_matmul_precision("highest")
    records = runner.run_all(plan.settings, plan.seeds)
    _records.extend(records)
    if not is_first():
        return
    if plan.beside:
        _publish(plan.benchmark, workspace, records)
    elif len(plan.own) > 1:
        _show_table(records)
    else:
        _show_records(records, workspace)


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
