"""What a run's record says about its samples, from one reading of the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..features.feature_set import FeatureSet
from ..storage.sample_store import Digest, SampleStore
from .benchmark import Evaluator


@dataclass(frozen=True)
class Evidence:
    """What one reading of a run's samples gives.

    Attributes:
        features: of every sample, with its intended label.
        digest: :class:`Digest` of the set.
        cost: see :func:`total_cost`.
        batch: the smallest in which any of the samples were made.
    """

    features: FeatureSet
    digest: str
    cost: dict[str, float]
    batch: int


def read_once(evaluator: Evaluator, store: SampleStore) -> Evidence:
    """Features of all samples with their intended labels, digest and cost; one shard is in memory at a time.

    Raises:
        UserError: a shard is missing or damaged.
    """
    digest, costs, labels = Digest(), [], []
    parts: dict[str, list[NDArray[np.float32]]] = {}
    for shard in store:
        digest.update(shard)
        costs.append((shard.stop - shard.start, shard.cost))
        labels.append(shard.labels)
        for name, rows in evaluator.extract(shard.images).items():
            parts.setdefault(name, []).append(rows)
    arrays: dict[str, Any] = {name: np.concatenate(rows) for name, rows in parts.items()}
    arrays["labels"] = np.concatenate(labels)
    features = FeatureSet(arrays, space=evaluator.name, title="the samples")
    return Evidence(features, digest.hexdigest(), total_cost(costs), int(min(cost["batch"] for _, cost in costs)))


def total_cost(parts: list[tuple[int, dict[str, float]]]) -> dict[str, float]:
    """The run's cost, from its shards' sizes and costs.

    Evaluations are for each sample, forward passes for each block, seconds those of all blocks on all processes.
    """
    count = sum(n for n, _ in parts)
    mean = {key: sum(n * cost[key] for n, cost in parts) / count for key in ("main", "weak", "nfe", "forwards")}
    seconds = sum(cost["seconds"] for _, cost in parts)
    return {**mean, "seconds": seconds, "images_per_second": count / seconds}
