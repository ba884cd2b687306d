"""What a reproducibility report says, as sections of plain values; :mod:`.publish` writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.identity import canonical
from ..experiments.benchmark import Setting
from ..experiments.preflight.findings import in_units
from ..experiments.records import metric_values
from ..experiments.runner import title as named
from ..experiments.specification import protocol_of
from ..guidance.method import METHODS
from ..leaderboard.metric_columns import column_of
from .published_rows import Comparison, compare

Record = Mapping[str, Any]

#: What the numbers of a run's cost are.
COSTS = {
    "main": "evaluations of the main network, a sample",
    "weak": "evaluations of the weak network, a sample",
    "nfe": "network evaluations (NFE), a sample",
    "forwards": "batched forward passes, a block",
    "seconds": "seconds of sampling",
}


@dataclass(frozen=True)
class Section:
    """One setting with all its draws.

    Attributes:
        title: method and parameters.
        verdict: in one line.
        facts: (heading, pairs of name and text).
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
    facts: list[tuple[str, list[tuple[str, str]]]]
    metrics: list[list[str]]
    differing: list[str]
    tolerances: list[str]
    commands: list[str]
    specification: str
    unchecked: list[str]
    run_ids: list[str]


def sections(records: Sequence[Record], stores: Mapping[str, Path]) -> list[Section]:
    """A section a setting; its seeds are its draws.

    Args:
        records: validated ones.
        stores: folders of the samples that are at hand, by run id.
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        key = canonical([protocol_of(record["spec"]), record["spec"]["method"], record["evaluator"].get("name", "")])
        groups.setdefault(key, []).append(record)
    found = [_section(sorted(group, key=lambda r: r["spec"]["seed"]), stores) for group in groups.values()]
    return sorted(found, key=lambda part: part.title)


def _section(group: Sequence[Record], stores: Mapping[str, Path]) -> Section:
    spec, found = group[0]["spec"], compare(group)
    return Section(
        title=f"{spec['benchmark']['name']}: {_setting(spec['method'])}",
        verdict=_verdict(found),
        facts=[
            ("With what", _environment(group)),
            ("Hashes", _hashes(group)),
            ("Cost", _cost(group)),
        ],
        metrics=_metric_table(group, found),
        differing=found.differing if found else [],
        tolerances=[f"{m.metric}: {m.tolerance.words()}" for m in found.metrics] if found else [],
        commands=[record["command"] for record in group],
        specification=json.dumps(spec, indent=1, sort_keys=True),
        unchecked=_unchecked(group, stores, found),
        run_ids=[record["run_id"] for record in group],
    )


def _setting(method: Mapping[str, Any]) -> str:
    """The method with what is not its default; all of it where the method is not known here."""
    name, parameters = method["name"], method["parameters"]
    if name in METHODS.names():
        return named(Setting(name, dict(parameters)))
    return " ".join([name, *(f"{key}={value}" for key, value in parameters.items())])


def _verdict(found: Comparison | None) -> str:
    if found is None:
        return "not comparable: no number was published for this benchmark and method"
    row = f"row {found.name} ({found.row.source}; {found.row.version})"
    if found.differing:
        return f"{found.verdict} with {row}: {len(found.differing)} fields of the protocol differ"
    return f"{found.verdict}: {row}"


def _environment(group: Sequence[Record]) -> list[tuple[str, str]]:
    found: dict[str, list[str]] = {}
    for record in group:
        environment = dict(record["environment"])
        packages = environment.pop("packages", {})
        environment["packages"] = ", ".join(f"{k} {v}" for k, v in sorted(packages.items()))
        for key, value in environment.items():
            words = _words(value)
            if words not in found.setdefault(key, []):
                found[key].append(words)
    order = ("git", "dirty", "device", "driver", "cuda", "world_size", "threads", "packages")
    keys = [k for k in order if k in found] + sorted(k for k in found if k not in order)
    pairs = [(key.replace("_", " "), "; ".join(found[key])) for key in keys]
    return [*pairs, ("precision", str(group[0]["spec"]["precision"])), ("made", "; ".join(r["time"] for r in group))]


def _hashes(group: Sequence[Record]) -> list[tuple[str, str]]:
    first = group[0]
    pairs = [
        (f"{role} network, seed {record['spec']['seed']}", facts["sha256"])
        for record in group
        for role, facts in record["networks"].items()
        if "sha256" in facts
    ]
    pairs += [(f"evaluator {place}", value) for place, value in _sums(first["evaluator"])]
    pairs += [(f"benchmark {place}", value) for place, value in _sums(first["spec"]["benchmark"])]
    pairs.append(("plug-in", first["spec"]["method"].get("plugin_sha256") or "none: built in"))
    pairs += [(f"samples, seed {record['spec']['seed']}", str(record["samples"].get("digest"))) for record in group]
    return pairs + [(f"record {record['run_id']}", record["sha256"]) for record in group]


def _sums(value: Any, place: str = "") -> list[tuple[str, str]]:
    """Hashes and names inside a plain value, by their places."""
    if isinstance(value, dict):
        return [pair for key in sorted(value) for pair in _sums(value[key], f"{place}.{key}" if place else key)]
    if isinstance(value, list):
        return [pair for i, item in enumerate(value) for pair in _sums(item, f"{place}[{i}]")]
    told = ("sha256", "weights", "reference", "recipe")
    return [(place, str(value))] if isinstance(value, str) and any(word in place for word in told) else []


def _cost(group: Sequence[Record]) -> list[tuple[str, str]]:
    keys = [key for key in group[0]["cost"] if all(key in record["cost"] for record in group)]
    return [
        (COSTS.get(key, key.replace("_", " ")), "; ".join(_cost_of(key, r["cost"][key]) for r in group)) for key in keys
    ]


def _cost_of(key: str, value: Any) -> str:
    return in_units(value) if key == "peak_memory" else _words(value)


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
        title = column_of(name, str(group[0]["evaluator"].get("name", "?"))).heading
        line = [title, *(f"{v:.4f}" for v in values), f"{total['mean']:.4f}"]
        line.append("one draw" if total["sd"] is None else f"{total['sd']:.4f}")
        if name in beside:
            m = beside[name]
            verdict = m.verdict if found and not found.differing else "not comparable"
            line += [f"{m.printed:g}", f"{m.measured - m.printed:+.4f}", f"{m.tolerance.total:.4f}", verdict]
        elif beside:
            line += ["not printed", "", "", ""]
        lines.append(line)
    return lines


def _unchecked(group: Sequence[Record], stores: Mapping[str, Path], found: Comparison | None) -> list[str]:
    missing = [record["run_id"] for record in group if record["run_id"] not in stores]
    lines = ["samples were not made again and metrics not computed anew: guidance-bench verify RECORD does that"]
    if missing:
        lines.append(f"samples are not at hand: {', '.join(missing)}")
    if len(group) == 1:
        spread = "its spread is taken from the literature, not measured" if found else "its spread is not known"
        lines.append(f"one draw alone: {spread}")
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


def _words(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
