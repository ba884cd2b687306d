"""``guidance-bench run``: from Hydra overrides to runs, records and the leaderboard."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, unquote

import hydra
import torch
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from ...core.console import say
from ...core.environment import check_torchvision, pick_device
from ...core.errors import UserError, did_you_mean
from ...core.processes import begin, is_first
from ...experiments.benchmark import BENCHMARKS, Benchmark, Setting, select
from ...experiments.hydra_schema import GROUPS, HIDDEN, RunConfig, build, register_configs
from ...experiments.runner import Runner
from ...experiments.workspace import Workspace
from ...guidance.method import METHODS
from ..options import wants_help

HELP = """\
guidance-bench run benchmark=NAME [method=NAME|FILE.py] [NAME=VALUE ...] [-m]

  benchmark=digits     the benchmark; alone: its whole line-up (train, sample,
                       evaluate, leaderboard)
  method=ig            one method instead of the line-up, or a Python file
  method.scale=1.7     a parameter of the method; also benchmark. and solver.
  solver=heun          another solver than the benchmark's
  seed=0               one seed instead of the benchmark's own
  precision=bf16       of the networks: fp32, tf32 (official programs on a GPU)
                       or bf16; part of a run's name
  compile=true         through torch.compile: sooner, the same to rounding
  batch=64             samples in one forward pass (default: a whole block)
  output=outputs       the folder of runs; the same call again continues it
  device=auto
  -m method.scale=1.2,1.7,2.2    a sweep: each combination of the lists

Hydra's own flags are passed on: --cfg job (what would run), --info, ...
What can be named: guidance-bench list"""

#: Records of this process's runs, in order; a sweep's table is made of them.
_records: list[dict[str, Any]] = []
#: The user's mistake that stopped the jobs: Hydra would print more than one line about it.
_mistakes: list[UserError] = []
#: The process that reads the two lists above; a launcher's workers (submitit's) answer through Hydra instead.
_home: int | None = None


def command(arguments: Sequence[str]) -> int:
    """Run what the overrides describe; returns the exit status.

    Raises:
        UserError: an unknown name or parameter, an ill-typed value, a plug-in that cannot be loaded, an output
        folder that
            cannot be written.
    """
    if wants_help(arguments):
        print(HELP)
        return 0 if arguments else 2
    check_torchvision()
    flags, overrides = split_flags(arguments)
    plugins: list[str] = []
    overrides = [_load_plugin(override, plugins) for override in overrides]
    register_configs([quote(p) for p in plugins], quote(shlex.join(["guidance-bench", "run", *arguments])))
    _check_overrides(overrides)
    multirun = "-m" in flags or "--multirun" in flags
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us as they are
    global _home
    _home = os.getpid()
    _records.clear()
    saved, sys.argv = sys.argv, ["guidance-bench run", *overrides, *flags]
    try:
        hydra.main(version_base="1.3", config_path=None, config_name="run")(job)()
    except (HydraException, OmegaConfBaseException, OSError) as error:
        raise UserError(_first_lines(error)) from error
    finally:
        sys.argv = saved
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
            _ensure_loaded(*unquote(plugin).split(":", 1))
        run_configured(config)
    except (UserError, OmegaConfBaseException) as error:
        mistake = error if isinstance(error, UserError) else UserError(_first_lines(error))
        if os.getpid() != _home:
            raise mistake from error
        _mistakes.append(mistake)


def run_configured(config: DictConfig) -> None:
    """A line-up, or a single method."""
    benchmark: Benchmark | None = build("benchmark", config.benchmark)
    if benchmark is None:
        raise UserError(f"no benchmark is chosen: benchmark=NAME (known: {', '.join(BENCHMARKS.names())})")
    method = build("method", config.method)
    solver = build("solver", config.solver) or benchmark.default_solver()
    workspace = Workspace(config.output)
    device = begin(pick_device(config.device))
    runner = Runner(
        benchmark,
        solver,
        workspace,
        device,
        batch=_batch(config.batch),
        command=unquote(config.command),
        precision=config.precision or "",
        compile=config.compile,
    )
    seeds = benchmark.seeds if config.seed is None else (config.seed,)
    for seed in seeds:
        _check_seed(seed)
    torch.set_float32_matmul_precision("highest")
    if method is not None:
        settings = [Setting(method.name, method.parameters())]
    else:
        settings = select(benchmark.line_up(), _known_methods(benchmark))
    records = runner.run_all(settings, seeds)
    _records.extend(records)
    if is_first():
        if method is None:
            _publish(benchmark, workspace, records)
        else:
            _show_records(records, workspace)


def _publish(benchmark: Benchmark, workspace: Workspace, records: Sequence[dict[str, Any]]) -> None:
    from ...leaderboard.publish import publish

    publish(records, workspace.leaderboard(benchmark.name), stores=workspace.folder)


def _show_records(records: Sequence[dict[str, Any]], workspace: Workspace) -> None:
    for record in records:
        metrics = "  ".join(f"{name} {value['mean']:.4g}" for name, value in record["metrics"].items())
        say(f"{metrics}\n  record: {workspace.record_path(record['run_id'])}")


def _show_sweep(overrides: Sequence[str]) -> None:
    from ...leaderboard.publish import sweep_table

    if not _records:  # made by other processes
        output = next((o.split("=", 1)[1] for o in reversed(overrides) if o.startswith("output=")), "outputs")
        say(f"all jobs are done; their table: guidance-bench leaderboard {output}")
    elif is_first():
        say(sweep_table(_records))


def _known_methods(benchmark: Benchmark) -> tuple[str, ...]:
    offered = {setting.method for setting in benchmark.line_up()}
    for name in benchmark.methods:
        METHODS.entry(name)
        if name not in offered:
            raise UserError(
                f"benchmark {benchmark.name!r} has no grid for {name!r} (it has: {', '.join(sorted(offered))})"
            )
    return benchmark.methods


def _check_seed(seed: int) -> None:
    if not 0 <= seed < 2**64:
        raise UserError(f"seed={seed} is outside 0..2^64 - 1")


def _batch(batch: int | None) -> int | None:
    if batch is not None and batch < 1:
        raise UserError(f"batch={batch} is less than one sample")
    return batch


# -- checks before Hydra, so that a mistake gets one line that names the way out


def split_flags(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Hydra's flags with their values, and the overrides, each in the order given.

    Raises:
        UserError: a flag that Hydra does not know, or one without its value.
    """
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        known = ", ".join(name for action in parser._actions for name in action.option_strings)
        raise UserError(f"run: {message} (flags: {known})")

    parser.error = refuse  # type: ignore[method-assign]
    parsed = parser.parse_intermixed_args(list(words))
    modes = [name for name in ("run", "multirun", "cfg", "info", "shell_completion") if getattr(parsed, name)]
    if len(modes) > 1:
        raise UserError(f"run: --{modes[0]} and --{modes[1]} exclude each other")
    overrides: list[str] = parsed.overrides
    flags = list(words)
    for override in overrides:
        flags.remove(override)
    return flags, overrides


def _load_plugin(override: str, plugins: list[str]) -> str:
    """``method=path/file.py[:name]`` runs the file, notes it in ``plugins`` and becomes ``method=name``."""
    group, equals, value = override.partition("=")
    if not equals or group not in GROUPS or ".py" not in value:
        return override
    path, _, wanted = value.partition(":")
    names = GROUPS[group].load_file(path)
    plugins.append(f"{group}:{Path(path).expanduser().resolve()}")
    if wanted and wanted not in names:
        raise UserError(f"{path!r} registers no {group} {wanted!r} (it registers: {', '.join(names)})")
    if not wanted and len(names) > 1:
        raise UserError(f"{path!r} registers several: say {group}={path}:{names[0]} (or {', '.join(names[1:])})")
    return f"{group}={wanted or names[0]}"


def _ensure_loaded(group: str, path: str) -> None:
    registry = GROUPS[group]
    if all(registry.entry(name).file != path for name in registry.names()):
        registry.load_file(path)


def _check_overrides(overrides: Sequence[str]) -> None:
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(_first_lines(error)) from error
    chosen: dict[str, list[str]] = {"benchmark": ["digits"], "method": [], "solver": []}
    for override in parsed:
        if override.key_or_group in GROUPS:
            chosen[override.key_or_group] = _choices(override)
    for group, names in chosen.items():
        for name in names:
            GROUPS[group].entry(name)
    for override in parsed:
        _check_key(override, chosen)


def _choices(override: Override) -> list[str]:
    value = override.value()
    if isinstance(value, ChoiceSweep):
        return [str(v) for v in value.list]
    if override.is_delete():
        return []
    if not isinstance(value, str):
        raise UserError(f"{override.input_line!r} gives no name of a {override.key_or_group}")
    return [value]


def _check_key(override: Override, chosen: dict[str, list[str]]) -> None:
    group, _, name = override.key_or_group.partition(".")
    known = [k for k in RunConfig.__dataclass_fields__ if k not in HIDDEN]
    if group not in known and not override.key_or_group.startswith(("hydra.", "hydra/")):
        raise UserError(f"unknown option {group!r} (known: {', '.join(known)}){did_you_mean(group, known)}")
    if not name or group not in GROUPS:
        return
    if not chosen[group]:
        raise UserError(f"{override.input_line!r} needs a {group}: add {group}=NAME")
    for entry in chosen[group]:
        fields = [p.name for p in GROUPS[group].parameters(entry)]
        if name not in fields:
            has = ", ".join(fields) or "none"
            raise UserError(f"{group} {entry!r} has no parameter {name!r} (it has: {has}){did_you_mean(name, fields)}")


def _first_lines(error: BaseException) -> str:
    """Hydra's message, and the cause behind it, without the hints for programmers."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    cause = error.__cause__
    return (
        f"{first.rstrip('.')}: {_first_lines(cause)}"
        if isinstance(cause, (HydraException, OmegaConfBaseException))
        else first
    )
