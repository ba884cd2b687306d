"""The facts of a report: pairs of name and text about protocol, machine, checks, hashes and cost of some runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..experiments.preflight.findings import in_units
from ..leaderboard.metric_columns import column_of
from .checks import Check

Record = Mapping[str, Any]

#: What the numbers of a run's cost are, in their order.
COSTS = {
    "nfe": "network evaluations (NFE), a sample",
    "main": "evaluations of the main network, a sample",
    "weak": "evaluations of the weak network, a sample (in NFE by its share of the work)",
    "forwards": "batched forward passes, a block",
    "seconds": "seconds of sampling",
}


@dataclass
class Facts:
    """What is known of a run.

    Attributes:
        record: the latest of it.
        file: where that lies.
        checks: what was checked of it.
        earlier: other records of the same run.
        stored: whether its samples are at hand.
    """

    record: Record
    file: Path = Path()
    checks: Sequence[Check] = ()
    earlier: Sequence[Record] = field(default_factory=list)
    stored: bool = False


def protocol(record: Record) -> list[tuple[str, str]]:
    """What all draws share, in few words; the specification below has all of it."""
    spec = record["spec"]
    networks = {
        role: _words(n.get("name", n.get("recipe", n.get("backbone", "?")))) for role, n in spec["networks"].items()
    }
    trained = {role: f", {n['steps']:,} training steps" for role, n in spec["networks"].items() if "steps" in n}
    version = spec["benchmark"].get("version")
    return [
        ("benchmark", spec["benchmark"]["name"] + (f", version {version}" if version else "")),
        *((f"{role} network", name + trained.get(role, "")) for role, name in networks.items()),
        ("solver", _call(spec["solver"])),
        ("samples", f"{spec['samples']:,} a draw, labels {spec['labels']}, in blocks of {spec['block']}"),
        ("precision", str(spec["precision"])),
        ("evaluator", str(record["evaluator"].get("name", "?"))),
    ]


def earlier(runs: Sequence[Facts]) -> list[tuple[str, str]]:
    """Other records of the same runs, each with how far its metrics lie from those above."""
    pairs = []
    for run in runs:
        for other in run.earlier:
            title = f"{run.record['run_id']} on {other['environment'].get('device', '?')}, {other['time']}"
            pairs.append((title, apart(run.record, other)))
    return pairs


def checked(runs: Sequence[Facts]) -> list[tuple[str, str]]:
    """Each check with the records that it came out so for."""
    found: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        for check in run.checks:
            found.setdefault((check.what, f"{check.verdict}: {check.words}"), []).append(run.record["run_id"])
    return [
        (what, words + (f" ({', '.join(ids)})" if len(ids) < len(runs) else "")) for (what, words), ids in found.items()
    ]


def environment(group: Sequence[Record]) -> list[tuple[str, str]]:
    """Machine, versions and times; what differs between the draws is told for each."""
    found: dict[str, list[str]] = {}
    for record in group:
        told = dict(record["environment"])
        packages = told.pop("packages", {})
        told["packages"] = ", ".join(f"{k} {v}" for k, v in sorted(packages.items()))
        if "dirty" in told:
            told["working copy"] = "with changes" if told.pop("dirty") else "as committed"
        for key, value in told.items():
            words = _words(value)
            if words not in found.setdefault(key, []):
                found[key].append(words)
    order = ("git", "working copy", "device", "driver", "cuda", "world_size", "threads", "packages")
    keys = [k for k in order if k in found] + sorted(k for k in found if k not in order)
    pairs = [(key if key == "guidance_bench" else key.replace("_", " "), "; ".join(found[key])) for key in keys]
    return [*pairs, ("made", "; ".join(r["time"] for r in group))]


def hashes(group: Sequence[Record]) -> list[tuple[str, str]]:
    """Hashes of networks, evaluator, benchmark, plug-in, samples and records."""
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


def costs(group: Sequence[Record]) -> list[tuple[str, str]]:
    """What the draws cost."""
    shared = [key for key in group[0]["cost"] if all(key in record["cost"] for record in group)]
    keys = [key for key in COSTS if key in shared] + [key for key in shared if key not in COSTS]
    return [
        (COSTS.get(key, key.replace("_", " ")), _each([_cost_of(key, r["cost"][key]) for r in group])) for key in keys
    ]


def apart(record: Record, other: Record) -> str:
    """How another record of the same run lies to this one: its samples, and each metric with the difference."""
    same = other["samples"].get("digest") == record["samples"].get("digest")
    names = [name for name in record["metrics"] if name in other["metrics"]]
    shown = [
        f"{heading(n, record)} {other['metrics'][n]['mean']:.4f} "
        f"({other['metrics'][n]['mean'] - record['metrics'][n]['mean']:+.2g})"
        for n in names
    ]
    return f"{'the same samples' if same else 'samples with other bits'}; {', '.join(shown)}"


def heading(column: str, record: Record) -> str:
    """What a table calls a metric of a record."""
    return column_of(column, str(record["evaluator"].get("name", "?"))).heading


def _words(value: Any) -> str:
    """A value in few digits."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _call(thing: Mapping[str, Any]) -> str:
    return " ".join([thing["name"], *(f"{name}={_words(value)}" for name, value in thing["parameters"].items())])


def _sums(value: Any, place: str = "") -> list[tuple[str, str]]:
    """Hashes and names inside a plain value, by their places."""
    if isinstance(value, dict):
        return [pair for key in sorted(value) for pair in _sums(value[key], f"{place}.{key}" if place else key)]
    if isinstance(value, list):
        return [pair for i, item in enumerate(value) for pair in _sums(item, f"{place}[{i}]")]
    names = ("sha256", "weights", "recipe", "data", "source")
    shown = place == "reference" or re.sub(r"\[\d+\]$", "", place).endswith(names)
    return [(place, str(value))] if isinstance(value, str) and shown else []


def _each(words: Sequence[str]) -> str:
    """Values of all draws, or the one that all have."""
    return words[0] if len(set(words)) == 1 else "; ".join(words)


def _cost_of(key: str, value: Any) -> str:
    return in_units(value) if key == "peak_memory" else _words(value)
