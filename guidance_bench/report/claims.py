"""What a record says of itself: arithmetic, and the project's own record of the same run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.errors import UserError
from ..core.identity import canonical
from ..experiments.evidence import read_witness, witness_path
from ..experiments.records import committed_results, read_record, record_files
from .checks import Check, compared
from .facts import apart

Record = Mapping[str, Any]

#: Metrics of the same samples agree to this share; what is left is the order of sums.
SAME = 1e-6
#: What the check beside the project's own record is called.
OWN_RECORD = "own record"


def arithmetic(record: Record) -> Check:
    """Means, deviations, rate and number of samples follow from other numbers of the record."""
    wrong = [name for name, metric in record["metrics"].items() if not _consistent(metric)]
    cost, count = record["cost"], record["samples"].get("count")
    rate, seconds = cost.get("images_per_second"), cost.get("seconds")
    if rate and seconds and count and not math.isclose(rate, count / seconds, rel_tol=1e-9):
        wrong.append("cost.images_per_second")
    if count is not None and count != record["spec"]["samples"]:
        wrong.append("samples.count")
    ok = "means, deviations, rate and number of samples follow from its other numbers"
    return compared("arithmetic", not wrong, ok, f"do not follow from its other numbers: {', '.join(wrong)}")


def _consistent(metric: Mapping[str, Any]) -> bool:
    values, mean = metric["values"], math.fsum(metric["values"]) / len(metric["values"])
    if not math.isclose(metric["mean"], mean, rel_tol=1e-9, abs_tol=1e-12):
        return False
    if len(values) == 1:
        return metric["sd"] is None
    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
    return metric["sd"] is not None and math.isclose(metric["sd"], spread, rel_tol=1e-9, abs_tol=1e-12)


def witness(record: Record, path: Path) -> list[Check]:
    """The few samples that lie beside a record, held to the sha256 that it names; no check where it names none."""
    if not record["samples"].get("witness"):
        return []
    file = witness_path(record, path)
    if not file.is_file():
        return [Check("witness", "not checked", f"the record's first samples are not beside it as {file.name!r}")]
    try:
        count = len(read_witness(record, file))
    except UserError as error:
        return [Check("witness", "differs", str(error))]
    return [Check("witness", "ok", f"the first {count} samples, beside the record, are those that it names")]


def project_record(record: Record) -> Check:
    """Beside the record of the same run that comes with the project: the same samples have the same metrics."""
    what = OWN_RECORD
    file = record_files(None).get(record["run_id"]) if committed_results().exists() else None
    if file is None:
        return Check(what, "not checked", "this run is not among the records that come with the project")
    other = read_record(file)
    if other["sha256"] == record["sha256"]:
        return Check(what, "not checked", "this is the record that comes with the project")
    if other["samples"]["digest"] != record["samples"].get("digest"):
        return Check(what, "not checked", f"the project's record of this run: {apart(record, other)}")
    parts = [part for part in ("spec", "evaluator") if canonical(other[part]) != canonical(record[part])]
    parts += [] if _same_metrics(record["metrics"], other["metrics"]) else ["metrics"]
    ok = "samples, metrics and evaluator are those of the project's record of this run"
    return compared(
        what, not parts, ok, f"the project's record has the same samples but other {_named(parts, record, other)}"
    )


def alike(value: float, other: float) -> bool:
    """Whether two numbers are one metric of the same samples."""
    return math.isclose(value, other, rel_tol=SAME, abs_tol=1e-9)


def _same_metrics(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    if {name: len(metric["values"]) for name, metric in ours.items()} != {
        n: len(m["values"]) for n, m in theirs.items()
    }:
        return False
    return all(alike(a, b) for name in ours for a, b in zip(ours[name]["values"], theirs[name]["values"], strict=True))


def _named(parts: list[str], record: Record, other: Record) -> str:
    for name, metric in record["metrics"].items():
        theirs = other["metrics"].get(name)
        if theirs is not None and not alike(theirs["mean"], metric["mean"]):
            return f"{', '.join(parts)}: {name} is {theirs['mean']:.6g} there, {metric['mean']:.6g} here"
    return ", ".join(parts)
