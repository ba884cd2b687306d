"""What a reproducibility report says, as sections of plain values; :mod:`.publish` writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from .checks import Check
from .published_rows import Comparison, compare

Record = Mapping[str, Any]

#: What the numbers of a run's cost are, in their order.
COSTS = {
    "nfe": "network evaluations (NFE), a sample",
    "main": "evaluations of the main network, a sample",
    "weak": "evaluations of the weak network, a sample",
    "forwards": "batched forward passes, a block",
    "seconds": "seconds of sampling",
}


@dataclass
class Facts:
    """A run.

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


def sections(runs: Sequence[Facts]) -> list[Section]:
    """A section a setting; its seeds are its draws."""
    groups: dict[str, list[Facts]] = {}
    for run in runs:
        spec, evaluator = run.record["spec"], run.record["evaluator"].get("name", "")
        groups.setdefault(canonical([protocol_of(spec), spec["method"], evaluator]), []).append(run)
    found = [_section(sorted(group, key=lambda r: r.record["spec"]["seed"])) for group in groups.values()]
    return sorted(found, key=lambda part: part.title)


def _section(runs: Sequence[Facts]) -> Section:
    group = [run.record for run in runs]
    spec, found = group[0]["spec"], compare(group)
    facts = [
        ("Protocol", _protocol(group[0])),
        ("With what", _environment(group)),
        ("Made before", _earlier(runs)),
        ("Checked", _checked(runs)),
        ("Hashes", _hashes(group)),
        ("Cost", _cost(group)),
    ]
    return Section(
        title=f"{spec['benchmark']['name']}: {_setting(spec['method'])}",
        verdict=_verdict(found, [check for run in runs for check in run.checks]),
        facts=[(heading, pairs) for heading, pairs in facts if pairs],
        metrics=_metric_table(group, found),
        differing=found.differing if found else [],
        tolerances=[f"{m.metric}: {m.tolerance.words()}" for m in found.metrics] if found else [],
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
    if found is None:
        return "not comparable: no number was published for this benchmark and method"
    row = f"row {found.name} ({found.row.source}; {found.row.version})"
    if found.differing:
        return f"{found.verdict} with {row}: {len(found.differing)} fields of the protocol differ"
    return f"{found.verdict}: {row}"


def _protocol(record: Record) -> list[tuple[str, str]]:
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


def _call(thing: Mapping[str, Any]) -> str:
    return " ".join([thing["name"], *(f"{name}={_words(value)}" for name, value in thing["parameters"].items())])


def _earlier(runs: Sequence[Facts]) -> list[tuple[str, str]]:
    """Other records of the same runs, each with how far its metrics lie from those above."""
    pairs = []
    for run in runs:
        for other in run.earlier:
            title = f"{run.record['run_id']} on {other['environment'].get('device', '?')}, {other['time']}"
            pairs.append((title, _apart(run.record, other)))
    return pairs


def _apart(record: Record, other: Record) -> str:
    same = other["samples"].get("digest") == record["samples"].get("digest")
    space, names = str(record["evaluator"].get("name", "?")), [n for n in record["metrics"] if n in other["metrics"]]
    shown = [
        f"{column_of(n, space).heading} {other['metrics'][n]['mean']:.4f} "
        f"({other['metrics'][n]['mean'] - record['metrics'][n]['mean']:+.2g})"
        for n in names
    ]
    return f"{'the same samples' if same else 'samples with other bits'}; {', '.join(shown)}"


def _checked(runs: Sequence[Facts]) -> list[tuple[str, str]]:
    """Each check with the records that it came out so for."""
    found: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        for check in run.checks:
            found.setdefault((check.what, f"{check.verdict}: {check.words}"), []).append(run.record["run_id"])
    return [
        (what, words + (f" ({', '.join(ids)})" if len(ids) < len(runs) else "")) for (what, words), ids in found.items()
    ]


def _environment(group: Sequence[Record]) -> list[tuple[str, str]]:
    found: dict[str, list[str]] = {}
    for record in group:
        environment = dict(record["environment"])
        packages = environment.pop("packages", {})
        environment["packages"] = ", ".join(f"{k} {v}" for k, v in sorted(packages.items()))
        environment["working copy"] = "with changes" if environment.pop("dirty", False) else "as committed"
        for key, value in environment.items():
            words = _words(value)
            if words not in found.setdefault(key, []):
                found[key].append(words)
    order = ("git", "working copy", "device", "driver", "cuda", "world_size", "threads", "packages")
    keys = [k for k in order if k in found] + sorted(k for k in found if k not in order)
    pairs = [(key.replace("_", " ").replace("guidance bench", "guidance_bench"), "; ".join(found[key])) for key in keys]
    return [*pairs, ("made", "; ".join(r["time"] for r in group))]


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
    named = ("sha256", "weights", "recipe", "data", "source")
    shown = place.endswith(named) or place in ("reference", "weights")
    return [(place, str(value))] if isinstance(value, str) and shown else []


def _cost(group: Sequence[Record]) -> list[tuple[str, str]]:
    shared = [key for key in group[0]["cost"] if all(key in record["cost"] for record in group)]
    keys = [key for key in COSTS if key in shared] + [key for key in shared if key not in COSTS]
    return [
        (COSTS.get(key, key.replace("_", " ")), _each([_cost_of(key, r["cost"][key]) for r in group])) for key in keys
    ]


def _each(words: Sequence[str]) -> str:
    """Values of all draws, or the one that all have."""
    return words[0] if len(set(words)) == 1 else "; ".join(words)


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


def _unchecked(runs: Sequence[Facts], found: Comparison | None) -> list[str]:
    group = [run.record for run in runs]
    missing = [run.record["run_id"] for run in runs if not run.stored]
    lines = ["samples were not made again and metrics not computed anew: guidance-bench verify RECORD does that"]
    if missing:
        lines.append(f"samples are not at hand as a whole: {', '.join(missing)}")
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
