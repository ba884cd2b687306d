"""What a run's record says about its samples, from one reading of the store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.console import bar
from ..core.errors import UserError
from ..core.processes import gather, share
from ..features.extraction import allocate
from ..features.feature_set import FeatureSet
from ..features.kept import FeatureMaker, KeptFeatures
from ..storage.image_files import read_sheet, write_sheet
from ..storage.sample_store import Digest, SampleStore, Shard
from .benchmark import Evaluator

#: A run's first samples are kept beside its record: at most so many, and so many bytes of pixels (but one at least).
WITNESS = "witness.png"
WITNESSES, WITNESS_BYTES = 10, 2**20


@dataclass(frozen=True)
class Evidence:
    """What one reading of a run's samples gives.

    Attributes:
        features: of every sample, with its intended label.
        digest: :class:`Digest` of the set.
        cost: see :func:`total_cost`.
        batch: the smallest in which any of the samples were made.
        blocks: digest of each block, so that some of them can be verified without the others.
    """

    features: FeatureSet
    digest: str
    cost: dict[str, float]
    batch: int
    blocks: list[str]


def keep_features(evaluator: Evaluator, store: SampleStore) -> None:
    """Let the features of a run's samples be made that are not kept beside them yet, each process its blocks.

    Returns on every process once all are there; an evaluator that is no :class:`FeatureMaker` is quick and keeps none.

    Raises:
        UserError: a shard is missing or damaged, or features cannot be written.
    """
    if not isinstance(evaluator.extract, FeatureMaker):
        return
    kept = KeptFeatures(evaluator.extract, _beside(store))
    blocks = share(sorted(gather([block for block in share(store.blocks) if not kept.has(*block)])))
    with bar(sum(stop - start for start, stop in blocks), "features", "image") as progress:
        for block in blocks:
            shard = store.read(*block)
            if shard is None:
                raise UserError(f"{str(store.path(*block))!r} is missing or damaged: run the same command again")
            kept.features(shard.start, shard.images, progress.update)
    gather([])


def keeper(evaluator: Evaluator, store: SampleStore) -> Callable[[Shard, Callable[[], None]], None] | None:
    """What keeps a shard's features as soon as it is written; None for an evaluator that keeps none."""
    if not isinstance(evaluator.extract, FeatureMaker):
        return None
    kept = KeptFeatures(evaluator.extract, _beside(store))

    def keep(shard: Shard, pause: Callable[[], None]) -> None:
        kept.features(shard.start, shard.images, lambda count: pause())

    return keep


def _beside(store: SampleStore) -> Path:
    return store.folder.parent / "features"


def read_once(evaluator: Evaluator, store: SampleStore) -> Evidence:
    """Features of all samples with their intended labels, digest and cost; one shard is in memory at a time.

    Raises:
        UserError: a shard is missing or damaged.
    """
    digest, costs, labels, blocks = Digest(), [], [], []
    arrays: dict[str, NDArray[Any]] = {}
    make = evaluator.extract
    kept = KeptFeatures(make, _beside(store)) if isinstance(make, FeatureMaker) else None
    for shard in store:
        digest.update(shard)
        blocks.append(block_digest(shard))
        costs.append((shard.stop - shard.start, shard.cost))
        labels.append(shard.labels)
        for name, rows in (kept.features(shard.start, shard.images) if kept else make(shard.images)).items():
            if name not in arrays:
                arrays[name] = allocate((len(store), rows.shape[1]))
            arrays[name][shard.start : shard.stop] = rows
    store.remember(digest.hexdigest())
    arrays["labels"] = np.concatenate(labels)
    features = FeatureSet(arrays, space=evaluator.name, title="the samples")
    batch = int(min(cost["batch"] for _, cost in costs))
    return Evidence(features, digest.hexdigest(), total_cost(costs), batch, blocks)


def block_digest(shard: Shard) -> str:
    """First 16 hex digits of the :class:`Digest` of one block."""
    digest = Digest()
    digest.update(shard)
    return digest.hexdigest()[:16]


def write_witness(store: SampleStore, path: Path) -> str:
    """Keep a run's first samples as one lossless PNG; returns the sha256 of their pixels.

    Where samples made again on another device have other bits, these few say how large the difference is.

    Raises:
        UserError: the first shard is missing or damaged, or the file cannot be written.
    """
    shard = store.read(*store.blocks[0])
    if shard is None:
        raise UserError(f"{str(store.path(*store.blocks[0]))!r} is missing or damaged: run the same command again")
    images = shard.images[: max(1, min(WITNESSES, WITNESS_BYTES // shard.images[0].nbytes))]
    write_sheet(path, images)
    return pixels_sha256(images)


def read_witness(record: Mapping[str, Any], path: Path) -> NDArray[np.uint8]:
    """The first samples (N, H, W, C) of a record.

    Raises:
        UserError: they cannot be read, or are not those that the record names.
    """
    images = read_sheet(path)
    if pixels_sha256(images) != record["samples"]["witness"]:
        raise UserError(f"{str(path)!r} does not hold the samples that the record names by their sha256")
    return images


def witness_path(record: Mapping[str, Any], path: Path) -> Path:
    """Where the first samples of the record at ``path`` lie: in its run's folder, else by their sha256 in a collection.

    Args:
        record: one that names a witness.
        path: of the record.
    """
    if path.name == "record.json":
        return path.with_name(WITNESS)
    place = path.parent.parent if path.parent.name == "records" else path.parent
    return place / "witnesses" / f"{record['samples']['witness'][:16]}.png"


def pixels_sha256(images: NDArray[np.uint8]) -> str:
    """The sha256 of images (N, H, W, C) and of their shape."""
    return hashlib.sha256(f"{images.shape}".encode() + images.tobytes()).hexdigest()


def total_cost(parts: list[tuple[int, dict[str, float]]]) -> dict[str, float]:
    """The run's cost, from its shards' sizes and costs.

    Evaluations are for each sample, forward passes for each block, seconds those of all blocks on all processes.
    """
    count = sum(n for n, _ in parts)
    mean = {key: sum(n * cost[key] for n, cost in parts) / count for key in ("main", "weak", "nfe", "forwards")}
    seconds = sum(cost["seconds"] for _, cost in parts)
    return {**mean, "seconds": seconds, "images_per_second": count / seconds}
