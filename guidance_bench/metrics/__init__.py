"""Metrics on features, one small file each, and the functions behind them."""

from __future__ import annotations

from typing import Any

from ..features.statistics import Statistics, StreamingStatistics, feature_statistics
from .fid import frechet_distance, frechet_distance_from_features
from .inception_score import inception_score, shuffled_inception_score
from .kid import kernel_distance
from .neighbours import Manifolds, manifolds
from .precision_recall import precision_recall

__all__ = [
    "Manifolds",
    "Statistics",
    "StreamingStatistics",
    "feature_statistics",
    "frechet_distance",
    "frechet_distance_from_features",
    "inception_features",
    "inception_score",
    "kernel_distance",
    "manifolds",
    "precision_recall",
    "shuffled_inception_score",
]


def inception_features(images: Any, weights: Any = None, **options: Any) -> dict[str, Any]:
    """See :func:`guidance_bench.features.extraction.inception_features`, imported on first use: it brings a network."""
    from ..features.extraction import inception_features as extract

    return extract(images, weights, **options)
