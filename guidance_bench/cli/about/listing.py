"""What there is, with parameters, cost, paper and origin, as the text of ``guidance-bench list``."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import torch

from ...core.console import width
from ...core.errors import UserError
from ...core.parameters import Parameter
from ...core.registry import Registry
from ...experiments.benchmark import BENCHMARKS
from ...guidance.method import METHODS
from ...leaderboard.metric_columns import column_of
from ...leaderboard.setting_texts import plain
from ...metrics.base import METRICS
from ...networks.backbone import BACKBONES
from ...report.tolerance import DECIMALS
from ...sampling.dry_run import counting_network
from ...sampling.ledger import Ledger
from ...sampling.sampler import sample
from ...sampling.solvers import SOLVERS
from ...training.data.source import SOURCES
from ...training.recipe import RECIPES

REGISTRIES: dict[str, Registry] = {  # type: ignore[type-arg]
    "backbones": BACKBONES,
    "methods": METHODS,
    "solvers": SOLVERS,
    "benchmarks": BENCHMARKS,
    "metrics": METRICS,
    "recipes": RECIPES,
    "sources": SOURCES,
}
STEPS = 20


def listing(kinds: Sequence[str] = ()) -> str:
    """The text for the kinds asked for; none asked: all."""
    return "\n\n".join(_rows() if kind == "rows" else _section(kind) for kind in kinds or (*REGISTRIES, "rows"))


def _section(kind: str) -> str:
    registry = REGISTRIES[kind]
    lines = [kind.upper()]
    for name in registry.names():
        lines += _entry(registry, name)
    lines += [f"  {name}  BROKEN: {why}" for name, why in registry.broken().items()]
    return "\n".join(lines)


def _entry(registry: Registry, name: str) -> list[str]:  # type: ignore[type-arg]
    entry = registry.entry(name)
    summary = getattr(entry.cls, "summary", "")
    source = "" if entry.source == "built in" else f" [{entry.source}: {entry.origin}]"
    gap = " " * max(2, 16 - len(name))
    lines = _wrap(f"{name}{gap}{summary}{source}", "  ", " " * 18)
    parameters = registry.parameters(name)
    if parameters:
        lines += _wrap(", ".join(map(_parameter, parameters)), " " * 18, " " * 18)
    if registry is METHODS:
        lines += _wrap(f"cost: {method_cost(name)}", " " * 18, " " * 24)
    if paper := getattr(entry.cls, "paper", ""):
        lines += _wrap(f"paper: {paper}", " " * 18, " " * 25)
    return lines


def _rows() -> str:
    """What papers printed, by the benchmark that repeats it."""
    lines, seen = ["ROWS"], []
    for name in BENCHMARKS.names():
        declaration = getattr(BENCHMARKS.entry(name).cls, "declaration", None)
        declared = declaration() if declaration else None
        if declared is None or declared in seen:
            continue
        seen.append(declared)
        lines += _wrap(f"guidance-bench run benchmark={name} row=NAME", "  ", "  ")
        for row, one in declared.rows.items():
            method = " ".join([one.method, *(f"{key}={plain(value)}" for key, value in one.parameters.items())])
            numbers = ", ".join(
                f"{column_of(metric, 'inception').title} {value:.{DECIMALS[metric]}f}"
                for metric, value in one.numbers.items()
            )
            lines += _wrap(f"{row}  {method} on {declared.backbones[one.backbone].title}: {numbers}", "    ", " " * 18)
            if one.not_printed:
                lines += _wrap(f"not printed: {', '.join(one.not_printed)}", " " * 18, " " * 20)
    return "\n".join(lines)


def _wrap(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(text, min(width(), 100), initial_indent=first, subsequent_indent=rest, break_long_words=False)


def _parameter(parameter: Parameter) -> str:
    default = f"{parameter.default:.6g}" if isinstance(parameter.default, float) else parameter.default
    return f"{parameter.name}={'none' if default is None else default}"


def method_cost(name: str) -> str:
    """Evaluations a step, counted by running the defaults on a network of 12 blocks: the toy mixture where it can."""
    ledger = Ledger()
    try:
        method, solver = METHODS.create(name), SOLVERS.create("euler", steps=STEPS)
        net = counting_network(method, 12)
        sample(net, method, solver, labels=torch.tensor([0]), noise=torch.ones(1, *net.shape), weak=net, ledger=ledger)
    except UserError as error:
        return f"not counted ({error})"
    weak = f" + {ledger.weak / STEPS:.3g} of the weak network" if ledger.weak else ""
    backward = f" + {ledger.backward / STEPS:.3g} backward" if ledger.backward else ""
    return f"{ledger.main / STEPS:.3g} main evaluation{'s' if ledger.main != STEPS else ''}{weak}{backward} a step"
