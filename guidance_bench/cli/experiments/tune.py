"""``guidance-bench tune benchmark=NAME method=NAME|all budget=SAMPLES``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ...core.console import say
from ...core.errors import UserError
from ..names import check_name
from ..options import check_options, wants_help, whole_number

HELP = """\
guidance-bench tune benchmark=NAME method=NAME|all budget=SAMPLES
                    [search=NAME:LOW..HIGH,...] [seeds=1000] [output=outputs]
                    [benchmark.FIELD=VALUE ...] [device=auto]

Finds a method's parameters under a budget of samples, the same for every
method.

  budget       samples over all settings that are tried, those given up too
  search       parameters and ranges; default: every scale of the method, at
               distances of 0.025 to 2 from no guidance
  seeds        of networks and samples; none that the benchmark reports
  method=all   every method of the line-up that has a scale

The same command continues an interrupted search; a larger budget lengthens it.
Needs Optuna: pip install -e ".[tune]"."""

OPTIONS = ("benchmark", "method", "budget", "search", "seeds", "output", "device")


def command(arguments: Sequence[str]) -> int:
    """Search, then say the best setting, where the record lies, and the command that reports it.

    Raises:
        UserError: an unknown name, seeds that are reported, or a budget below one setting.
    """
    if wants_help(arguments):
        print(HELP)
        return 0 if arguments else 2
    words = dict(_pair(word) for word in arguments)
    fields = {k.removeprefix("benchmark."): _value(v) for k, v in words.items() if k.startswith("benchmark.")}
    options = {k: v for k, v in words.items() if not k.startswith("benchmark.")}
    check_options(options, OPTIONS)
    for name in ("benchmark", "method", "budget"):
        if not options.get(name):
            raise UserError(f"tune needs {name}=: guidance-bench tune benchmark=digits method=ig budget=4000")
    budget = whole_number("budget", options["budget"], 1)
    check_name("benchmark", options["benchmark"])
    if options["method"] != "all":
        check_name("method", options["method"], [options["benchmark"]])
    seeds = [whole_number("seeds", seed, 0) for seed in options.get("seeds", "1000").split(",")]

    from ...core.environment import pick_device
    from ...core.processes import begin
    from ...experiments.benchmark import BENCHMARKS
    from ...experiments.tuning.tune import methods_of, tune
    from ...experiments.workspace import Workspace
    from ...guidance.method import METHODS

    if options["benchmark"].endswith(".py"):
        options["benchmark"] = BENCHMARKS.load_file(options["benchmark"])[0]
    if options["method"].endswith(".py"):
        options["method"] = METHODS.load_file(options["method"])[0]
    benchmark = BENCHMARKS.create(options["benchmark"], **fields)
    methods = methods_of(benchmark, options["method"])
    if options.get("search") and len(methods) > 1:
        raise UserError("search= is of one method: give method=NAME with it")
    device = begin(pick_device(options.get("device", "auto")))
    workspace = Workspace(options.get("output", "outputs"))
    for method in methods:
        record = tune(benchmark, method, budget, workspace, device, space=options.get("search", ""), seeds=seeds)
        _show(record, workspace)
    return 0


def _show(record: dict[str, Any], workspace: Any) -> None:
    best = ", ".join(f"{name}={value}" for name, value in record["best"]["parameters"].items())
    method, count, spent = record["search"]["method"], len(record["trials"]), record["spent"]
    say(f"{method}: {best} ({record['metric']} {record['best']['value']:.4g})")
    say(f"  {count} settings tried, {spent:,} of {record['budget']:,} samples spent")
    say(f"  record: {workspace.folder / 'tuning'}/{method}-{record['name']}.json\n  report: {record['command']}")


def _pair(word: str) -> tuple[str, str]:
    name, sign, value = word.partition("=")
    if not sign:
        raise UserError(f"tune takes NAME=VALUE words, not {word[:60]!r}")
    return name, value


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
