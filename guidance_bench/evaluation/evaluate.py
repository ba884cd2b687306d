"""Images to metrics, whoever made them: features once, then every metric."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..core.environment import pick_device
from ..core.errors import UserError
from ..core.processes import after_first, agree, is_first
from ..features.extraction import Hashed, extract
from ..features.extractor import Extractor
from ..features.extractors import extractors_for
from ..features.feature_set import FeatureSet
from ..features.kept import BATCH
from ..metrics.base import METRICS, Metric, compute_all
from ..storage.image_sets import ImageSource, open_images
from .reference import load_reference, save_reference
from .uncertainty import Draws, Jackknife, block_jackknife, summarise

#: What OpenAI's evaluator gives.
DEFAULT = ("fid", "sfid", "inception_score", "precision_recall")


@dataclass(frozen=True)
class Evaluation:
    """Metrics of one or several draws of samples against a reference.

    Attributes:
        metrics: every draw's value, mean and spread, by column name.
        jackknife: error of a single draw by column name, where it was asked for.
        skipped: default metrics that could not be computed, with what they need.
        evaluator: what determines the numbers: networks with sha256, reference with sha256, the metrics' parameters.
        samples: path, count, size and sha256 of each draw.
        seconds: that it took.
    """

    metrics: dict[str, Draws]
    jackknife: dict[str, Jackknife]
    skipped: dict[str, str]
    evaluator: dict[str, Any]
    samples: list[dict[str, Any]]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def evaluate(
    samples: str | Path | ImageSource | Sequence[str | Path | ImageSource],
    reference: str | Path | ImageSource,
    metrics: Sequence[str] | None = None,
    *,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    weights: str | Path | None = None,
    batch_size: int = BATCH,
    device: str = "auto",
    jackknife: int = 0,
    keep_reference: str | Path | None = None,
    partial: bool = False,
) -> Evaluation:
    """Compare images with a reference.

    After :func:`guidance_bench.core.processes.begin` several processes share the networks' work; all must call this.

    Args:
        samples: a folder of image files, a .npz file, a sample store, or a source; several are independent draws.
        reference: ADM's or our own statistics .npz, or images as for ``samples``.
        metrics: names of registered metrics; None: FID, sFID, IS, precision and recall, as far as weights and reference
            allow.
        parameters: of the metrics, by name.
        weights: Inception's weights; see :func:`guidance_bench.metrics.inception_features`.
        batch_size: images a pass of the networks.
        device: "auto", "cpu", "cuda", ...
        jackknife: blocks of the block jackknife of the first draw; 0 for none.
        keep_reference: write the reference's statistics to this .npz file.
        partial: evaluate what is sound of a sample store that is not whole, instead of refusing it.

    Raises:
        UserError: a store that is not whole; images, reference or weights that cannot be used, or a metric that cannot
            be computed from them.
    """
    started = time.perf_counter()
    rows = _create(metrics or DEFAULT, parameters or {})
    sources = _sources(samples, partial)
    extractors = after_first(lambda: extractors_for(_union(r.needs for r in rows), weights, pick_device(device)))

    def make(source: ImageSource, names: Collection[str]) -> FeatureSet:
        return extract(source, extractors, names, batch_size, source.features, source.block)

    against = load_reference(reference, _union(row.needs for row in rows if row.against != "nothing"), make)
    if keep_reference:
        _keep(keep_reference, against.features, {"made_from": against.identity, **_identity(extractors)})
    possible, skipped = _possible(rows, against.features, extractors, strict=metrics is not None)
    draws = [make(source, _union(row.needs for row in possible)) for source in sources]
    make_now(possible, against.features)
    values = agree(lambda: [compute_all(possible, against.features, draw) for draw in draws])
    return Evaluation(
        metrics={column: summarise([v[column] for v in values]) for column in values[0]},
        jackknife=agree(lambda: _jackknives(possible, against.features, draws[0], jackknife)) if jackknife else {},
        skipped=skipped,
        evaluator={
            **_identity(extractors),
            "reference": against.identity,
            "metrics": {row.name: _facts(row) for row in possible},
        },
        samples=[_describe(source) for source in sources],
        seconds=time.perf_counter() - started,
    )


def _sources(samples: str | Path | ImageSource | Sequence[str | Path | ImageSource], partial: bool) -> list[Hashed]:
    draws = [samples] if isinstance(samples, (str, Path, ImageSource)) else samples
    return [Hashed(_open(draw, partial)) for draw in draws]


def _keep(path: str | Path, features: FeatureSet, provenance: Mapping[str, Any]) -> None:
    """Write the reference's statistics, after what is made of its images for them has been made by all processes."""
    if features.has("features"):
        features.array("features")
    if is_first():
        save_reference(path, features, provenance)


def make_now(metrics: Sequence[Metric], reference: FeatureSet) -> None:
    """Have the features of a reference's images made that metrics ask for, by all processes that are here."""
    for name in _union(row.needs for row in metrics if row.against == "features"):
        if reference.has(name):
            reference.array(name)


def _create(names: Sequence[str], parameters: Mapping[str, Mapping[str, Any]]) -> list[Metric]:
    for name in parameters:
        if name not in names:
            raise UserError(f"parameters are given for {name!r}, which is not among the metrics: {', '.join(names)}")
    return [METRICS.create(name, **parameters.get(name, {})) for name in names]


def _open(samples: str | Path | ImageSource, partial: bool) -> ImageSource:
    return samples if isinstance(samples, ImageSource) else open_images(samples, partial)


def _union(names: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for group in names for name in group))


def _identity(extractors: Iterable[Extractor]) -> dict[str, Any]:
    return {"networks": [extractor.identity() for extractor in extractors]}


def _facts(row: Metric) -> dict[str, Any]:
    return {"parameters": row.parameters(), "plugin_sha256": None, **METRICS.entry(row.name).code}


def _describe(source: Hashed) -> dict[str, Any]:
    facts = {"path": source.title, "count": len(source), "size": list(source.shape), "sha256": source.sha256()}
    return facts | ({"left_out": dict(source.left_out)} if source.left_out else {})


def _possible(
    rows: Sequence[Metric], reference: FeatureSet, extractors: Sequence[Extractor], strict: bool
) -> tuple[list[Metric], dict[str, str]]:
    """Rows that can be computed, and of the others why not; known before the samples are looked at.

    Raises:
        UserError: where ``strict``, or where no row can be computed.
    """
    problems = {row.name: _problem(row, reference, extractors) for row in rows}
    skipped = {name: problem for name, problem in problems.items() if problem}
    if skipped and (strict or len(skipped) == len(rows)):
        raise UserError("; ".join(f"{name}: {problem}" for name, problem in skipped.items()))
    return [row for row in rows if row.name not in skipped], skipped


def _problem(row: Metric, reference: FeatureSet, extractors: Sequence[Extractor]) -> str:
    """What stands in the way of a metric, or an empty string."""
    for extractor in extractors:
        for name in row.needs:
            if name in extractor.lacks:
                return extractor.lacks[name]
        if row.space and set(row.needs) & set(extractor.makes) and extractor.space != row.space:
            return f"{extractor.title} is not the network that the metric is defined on"
    found = {"features": reference.has, "statistics": reference.has_statistics, "nothing": lambda _: True}[row.against]
    missing = [name for name in row.needs if not found(name)]
    return f"{reference.title} has no {row.against} {missing[0]!r}: {reference.reason(missing[0])}" if missing else ""


def _jackknives(
    rows: Iterable[Metric], reference: FeatureSet, samples: FeatureSet, blocks: int
) -> dict[str, Jackknife]:
    """One jackknife a column; metrics with several columns are computed once for each."""
    result = {}
    for row in rows:
        for column in row.compute(reference, samples):
            result[column] = block_jackknife(lambda s, r=row, c=column: r.compute(reference, s)[c], samples, blocks)
    return result
