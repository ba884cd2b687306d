"""A run beside the published row that it is nearest to: which fields of the protocol differ, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..core.parameters import plain
from ..experiments.benchmark import BENCHMARKS
from ..experiments.published.declaration import Declaration, PublishedRow
from ..guidance.method import METHODS
from ..sampling.solvers import SOLVERS
from ..storage.hub import known_checkpoints
from .tolerance import Tolerance, tolerance

REPRODUCED, NOT_REPRODUCED, NOT_COMPARABLE = "reproduced", "not reproduced", "not comparable"


@dataclass(frozen=True)
class Beside:
    """One metric beside its published number.

    Attributes:
        metric: its column.
        printed: by the authors.
        measured: mean of the draws.
        tolerance: of the difference.
        verdict: of this metric alone.
    """

    metric: str
    printed: float
    measured: float
    tolerance: Tolerance
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """A setting beside a published row.

    Attributes:
        name, row: the row.
        differing: fields of the protocol that differ, or that were not printed, in words.
        metrics: every number that was printed.
        verdict: "reproduced", "not reproduced" or "not comparable".
    """

    name: str
    row: PublishedRow
    differing: list[str]
    metrics: list[Beside] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """Not comparable where a field differs; else whether every printed number is within its tolerance."""
        if self.differing:
            return NOT_COMPARABLE
        good = bool(self.metrics) and all(m.verdict == REPRODUCED for m in self.metrics)
        return REPRODUCED if good else NOT_REPRODUCED


def compare(records: Sequence[Mapping[str, Any]]) -> Comparison | None:
    """The draws of one setting beside the nearest published row; None where nothing is published of their kind.

    Args:
        records: of one setting, one a seed.
    """
    spec = records[0]["spec"]
    declared = _declaration(spec["benchmark"]["name"])
    if declared is None:
        return None
    rows = {name: row for name, row in declared.rows.items() if row.method == spec["method"]["name"]}
    if not rows:
        return None
    apart = {name: differing(records[0], row, declared) for name, row in rows.items()}
    own = spec["networks"]["main"].get("name")
    name = min(rows, key=lambda n: (rows[n].backbone != own, len(apart[n]), len(rows[n].not_printed)))
    row = rows[name]
    unknown = [f"{what}: was not printed" for what in row.not_printed]
    return Comparison(name, row, [*apart[name], *unknown], _metrics(records, row))


def _declaration(benchmark: str) -> Declaration | None:
    if benchmark not in BENCHMARKS.names():
        return None
    declaration = getattr(BENCHMARKS.entry(benchmark).cls, "declaration", None)
    return None if declaration is None else declaration()


def differing(record: Mapping[str, Any], row: PublishedRow, declared: Declaration) -> list[str]:
    """Fields of a run's protocol that are not those of a row, each with both values."""
    spec, about = record["spec"], declared.backbones[row.backbone]
    method = plain(METHODS.create(row.method, **row.parameters).parameters())
    chosen = declared.solver(row)
    solver = plain(SOLVERS.create(chosen.name, **chosen.parameters).parameters())
    pairs = [
        ("labels", spec["labels"], row.labels),
        ("N", spec["samples"], declared.protocol.samples),
        ("precision", spec["precision"], declared.protocol.precision),
        ("backbone", spec["networks"]["main"].get("name", "?"), row.backbone),
        ("solver", spec["solver"]["name"], chosen.name),
    ]
    pairs += _pairs("method", spec["method"]["parameters"], method)
    if spec["solver"]["name"] == chosen.name:
        pairs += _pairs("solver", spec["solver"]["parameters"], solver)
    vae = spec["benchmark"].get("autoencoder", {})
    pairs += [("VAE", vae.get("name"), about.autoencoder.name)]
    pairs += [("uint8 rule", vae.get("uint8_rule"), about.autoencoder.parameters.get("uint8_rule", "truncate"))]
    found = [f"{name}: {ours}, published with {theirs}" for name, ours, theirs in pairs if ours != theirs]
    return [*found, *_origins(record, about.checkpoint, vae)]


def _pairs(of: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    names = {"interval": "interval rule", "channels": "channels"}
    keys = [*theirs, *(key for key in ours if key not in theirs)]
    return [(names.get(key, f"{of} {key}"), ours.get(key), theirs.get(key)) for key in keys]


def _origins(record: Mapping[str, Any], checkpoint: str | None, vae: Mapping[str, Any]) -> list[str]:
    """Files that are not known to be the published ones."""
    found = []
    source = record["networks"].get("main", {}).get("source", "?")
    known = known_checkpoints()
    folder = known[checkpoint].source if checkpoint in known else str(checkpoint)
    if checkpoint is None or (source != checkpoint and not source.startswith(folder)):
        found.append(f"checkpoint: {source}, published with {checkpoint or 'one that was not published'}")
    pinned = {"sd_vae_ema": "sd-vae-ema", "sd_vae_mse": "sd-vae-mse", "va_vae": "va-vae"}.get(str(vae.get("name")), "")
    if pinned in known and known[pinned].sha256 not in vae.get("weights", []):
        found.append(f"VAE weights: not those of {pinned}")
    evaluator = record["evaluator"]
    networks = [network.get("network") for network in evaluator.get("networks", [])]
    if networks != ["inception-2015-12-05"]:
        found.append(f"evaluator: {', '.join(map(str, networks)) or '?'}, published with inception-2015-12-05")
    reference = evaluator.get("reference", {})
    if not isinstance(reference, dict) or reference.get("source") != "adm-imagenet256":
        found.append("reference: a file of the user's, published with ADM's VIRTUAL_imagenet256_labeled.npz")
    return found


def _metrics(records: Sequence[Mapping[str, Any]], row: PublishedRow) -> list[Beside]:
    found = []
    for metric, printed in row.numbers.items():
        draws = [v for record in records for v in record["metrics"].get(metric, {"values": []})["values"]]
        if not draws:
            continue
        allowed = tolerance(metric, printed, draws, records[0]["spec"]["samples"])
        mean = sum(draws) / len(draws)
        verdict = REPRODUCED if abs(mean - printed) <= allowed.total else NOT_REPRODUCED
        found.append(Beside(metric, printed, mean, allowed, verdict))
    return found
