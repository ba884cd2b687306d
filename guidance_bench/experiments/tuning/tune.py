"""A benchmark's methods tuned, each under the same budget, with a record of every trial."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ...core.environment import describe
from ...core.errors import UserError
from ...core.processes import is_first
from ...guidance.method import METHODS
from ...metrics.base import METRICS
from ...storage.files import write_json
from ..benchmark import Benchmark, Setting
from ..records import seal
from ..runner import Runner
from ..specification import protocol_of
from ..workspace import Workspace
from .search import SEEDS, Search, best_of, rungs_of, search
from .space import search_space

#: Of a search's record.
SCHEMA = 1


def tune(
    benchmark: Benchmark,
    method: str,
    budget: int,
    workspace: Workspace,
    device: Any,
    *,
    space: str = "",
    seeds: Sequence[int] = SEEDS,
) -> dict[str, Any]:
    """Search a method's parameters and keep the record, ``tuning/<method>-<name of the search>.json``.

    Args:
        benchmark: the protocol; its samples are those of a setting that is tried in full.
        method: registered name.
        budget: samples, over all settings and seeds.
        workspace: where runs and record lie.
        device: where the networks run.
        space: see :func:`.space.search_space`.
        seeds: of networks and samples; none of the benchmark's own.

    Returns:
        The record: search, budget, spent, trials, best (parameters, value, runs), command, time, environment, sha256.

    Raises:
        UserError: seeds that are reported, a budget below one setting, or as :class:`Runner`.
    """
    shared = ",".join(str(seed) for seed in seeds if seed in benchmark.seeds)
    if shared:
        raise UserError(f"seeds={shared} of the tuning are reported by benchmark {benchmark.name!r}: give others")
    axes = search_space(method, space)
    rungs = rungs_of(benchmark.samples, benchmark.block)
    runners = {n: Runner(replace(benchmark, samples=n), benchmark.default_solver(), workspace, device) for n in rungs}
    whole = runners[rungs[-1]]
    specification = whole.specify(Setting(method, {}), seeds[0]).as_dict()
    plan = Search(method, axes, tuple(seeds), rungs, protocol_of(specification))
    metric: Any = METRICS.entry(benchmark.primary).cls
    sign = 1.0 if metric.direction == "lower" else -1.0

    def score(parameters: dict[str, Any], samples: int, seed: int) -> tuple[float, str]:
        record = runners[samples].run(Setting(method, parameters), seed)
        return sign * record["metrics"][benchmark.column(benchmark.primary)]["mean"], record["run_id"]

    trials = search(plan, budget, score)
    record = _record(benchmark, plan, budget, trials, device)
    if is_first():
        write_json(workspace.folder / "tuning" / f"{method}-{plan.name}.json", record)
    return record


def _record(
    benchmark: Benchmark, plan: Search, budget: int, trials: list[dict[str, Any]], device: Any
) -> dict[str, Any]:
    chosen = best_of(trials)
    best = {"parameters": chosen["parameters"], "value": abs(chosen["scores"][-1]), "runs": chosen["runs"][-1]}
    fields = " ".join(f"method.{name}={value}" for name, value in best["parameters"].items())
    return seal(
        {
            "tuning": SCHEMA,
            "name": plan.name,
            "benchmark": benchmark.name,
            "search": plan.as_dict(),
            "metric": benchmark.column(benchmark.primary),
            "budget": budget,
            "spent": sum(trial["spent"] for trial in trials),
            "trials": trials,
            "best": best,
            "command": f"guidance-bench run benchmark={benchmark.name} method={plan.method} {fields}",
            "environment": describe(device),
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
    )


def methods_of(benchmark: Benchmark, method: str) -> list[str]:
    """``all``: the methods of the line-up that have a scale; else the one named."""
    if method != "all":
        METHODS.entry(method)
        return [method]
    found = []
    for name in dict.fromkeys(setting.method for setting in benchmark.line_up()):
        try:
            search_space(name)
        except UserError:
            continue
        found.append(name)
    return found
