"""What a reproducibility report says, as sections of plain values; :mod:`.publish` writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..core.identity import canonical
from ..experiments.benchmark import Setting
from ..experiments.records import metric_values
from ..experiments.runner import title as named
from ..experiments.specification import protocol_of
from ..guidance.method import METHODS
from .checks import Check
from .claims import OWN_RECORD
from .facts import Facts, checked, costs, earlier, environment, hashes, heading, protocol
from .published_rows import NOT_COMPARABLE, REPRODUCED, Comparison, compare
from .tolerance import DECIMALS

Record = Mapping[str, Any]
#: (heading, pairs of name and text).
Pairs = list[tuple[str, list[tuple[str, str]]]]


@dataclass(frozen=True)
class Shared:
    """What several settings share: facts, and what was not checked of any."""

    facts: Pairs
    unchecked: list[str]


@dataclass(frozen=True)
class Section:
    """One setting with all its draws.

    Attributes:
        title: method and parameters.
        verdict: in one line.
        facts: about protocol, machine, checks, hashes and cost.
        metrics: head and lines of the table of metrics.
        differing: fields of the protocol that differ from the published row.
        tolerances: how each was derived.
        commands: that repeat the runs.
        specification: whole, as JSON text.
        unchecked: what this report did not check.
        run_ids: of the runs.
    """

    title: str
    verdict: str
    facts: Pairs
    metrics: list[list[str]]
    differing: list[str]
    tolerances: list[str]
    commands: list[str]
    specification: str
    unchecked: list[str]
    run_ids: list[str]


def sections(runs: Sequence[Facts]) -> list[Section]:
    """A section a setting; its seeds are its draws."""
    groups: dict[str, list[Facts]] = {}
    for run in runs:
        spec, evaluator = run.record["spec"], run.record["evaluator"].get("name", "")
        groups.setdefault(canonical([protocol_of(spec), spec["method"], evaluator]), []).append(run)
    found = [_section(sorted(group, key=lambda r: r.record["spec"]["seed"])) for group in groups.values()]
    return sorted(found, key=lambda part: part.title)


def told_once(parts: Sequence[Section]) -> tuple[Shared, list[Section]]:
    """What all of several settings share, and the settings with what is their own."""
    if len(parts) < 2:
        return Shared([], []), list(parts)
    told = [{name: set(pairs) for name, pairs in part.facts} for part in parts]
    facts = [
        (name, [pair for pair in pairs if all(pair in one.get(name, ()) for one in told)])
        for name, pairs in parts[0].facts
    ]
    unchecked = [line for line in parts[0].unchecked if all(line in part.unchecked for part in parts)]
    shared = {name: set(pairs) for name, pairs in facts}
    own = [
        replace(
            part,
            facts=_filled([(name, [p for p in pairs if p not in shared.get(name, ())]) for name, pairs in part.facts]),
            unchecked=[line for line in part.unchecked if line not in unchecked],
        )
        for part in parts
    ]
    return Shared(_filled(facts), unchecked), own


def _filled(facts: Pairs) -> Pairs:
    return [(name, pairs) for name, pairs in facts if pairs]


def _section(runs: Sequence[Facts]) -> Section:
    group = [run.record for run in runs]
    spec, found = group[0]["spec"], compare(group)
    facts = [
        ("Protocol", protocol(group[0])),
        ("With what", environment(group)),
        ("Made before", earlier(runs)),
        ("Checked", checked(runs)),
        ("Hashes", hashes(group)),
        ("Cost", costs(group)),
    ]
    return Section(
        title=f"{spec['benchmark']['name']}: {_setting(spec['method'])}",
        verdict=_verdict(found, [check for run in runs for check in run.checks]),
        facts=_filled(facts),
        metrics=_metric_table(group, found),
        differing=found.differing if found else [],
        tolerances=[f"{heading(m.metric, group[0])}: {m.tolerance.words()}" for m in found.metrics] if found else [],
        commands=[record["command"] for record in group],
        specification=json.dumps(spec, indent=1, sort_keys=True),
        unchecked=_unchecked(runs, found),
        run_ids=[record["run_id"] for record in group],
    )


def _setting(method: Mapping[str, Any]) -> str:
    """The method with what is not its default; all of it where the method is not known here."""
    name, parameters = method["name"], method["parameters"]
    if name in METHODS.names():
        return named(Setting(name, dict(parameters)))
    return " ".join([name, *(f"{key}={value}" for key, value in parameters.items())])


def _verdict(found: Comparison | None, checks: Sequence[Check]) -> str:
    wrong = [check for check in checks if check.verdict == "differs"]
    if wrong:
        return f"a record does not hold what it says: {wrong[0].what}: {wrong[0].words}"
    own = [check for check in checks if check.what == OWN_RECORD]
    if found is None and own and all(check.verdict == "ok" for check in own):
        return f"{REPRODUCED}: {own[0].words}"
    if found is None:
        return f"{NOT_COMPARABLE}: no number was published for this benchmark and method"
    row = f"row {found.name} ({found.row.source}; {found.row.version})"
    if found.differing:
        return f"{found.verdict} with {row}: {len(found.differing)} fields of the protocol differ or were not printed"
    return f"{found.verdict}: {row}"


def _metric_table(group: Sequence[Record], found: Comparison | None) -> list[list[str]]:
    beside = {m.metric: m for m in found.metrics} if found else {}
    head = ["metric", *(f"seed {record['spec']['seed']}" for record in group), "mean", "sd"]
    head += ["published", "difference", "tolerance", "verdict"] if beside else []
    lines = [head]
    for name in group[0]["metrics"]:
        values = [record["metrics"][name]["mean"] for record in group if name in record["metrics"]]
        if len(values) < len(group):
            continue
        all_draws = [v for record in group for v in record["metrics"][name]["values"]]
        total = metric_values(all_draws)
        line = [heading(name, group[0]), *(f"{v:.4f}" for v in values), f"{total['mean']:.4f}"]
        line.append("one draw" if total["sd"] is None else f"{total['sd']:.4f}")
        if name in beside:
            m = beside[name]
            verdict = m.verdict if found and not found.differing else NOT_COMPARABLE
            line += [
                f"{m.printed:.{DECIMALS[name]}f}",
                f"{m.measured - m.printed:+.4f}",
                f"{m.tolerance.total:.4f}",
                verdict,
            ]
        elif beside:
            line += ["not printed", "", "", ""]
        lines.append(line)
    return lines


def _unchecked(runs: Sequence[Facts], found: Comparison | None) -> list[str]:
    group = [run.record for run in runs]
    missing = [run.record["run_id"] for run in runs if not run.stored]
    lines = ["samples were not made again and metrics not computed anew: guidance-bench verify RECORD does that"]
    if missing:
        lines.append(f"samples are not at hand as a whole: {', '.join(missing)}")
    if len(group) == 1:
        spread = "its spread is taken from the literature, not measured" if found else "its spread is not known"
        lines.append(f"one draw alone: {spread}")
    partly = sorted({n for r in group for n in r["metrics"]} - set.intersection(*(set(r["metrics"]) for r in group)))
    if partly:
        lines.append(f"metrics that not every draw has: {', '.join(heading(name, group[0]) for name in partly)}")
    if found is None:
        lines.append("nothing was compared with a published number")
    if any(record["environment"].get("dirty") for record in group):
        lines.append("the working copy had changes that its commit does not show")
    if any(
        record["environment"].get("device_type") == "cuda" and not record["environment"].get("driver")
        for record in group
    ):
        lines.append("the driver's version was not recorded")
    return lines
