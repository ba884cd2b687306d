"""FID at infinitely many samples, by extrapolation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.arrays import as_matrix
from ..core.parameters import param
from ..features.statistics import Statistics
from .base import Metric, register_metric
from .fid import frechet_distance_of_few

if TYPE_CHECKING:
    from ..features.feature_set import FeatureSet

LEAST = 5000  # samples of the smallest subset, or a tenth of all where that is fewer


def frechet_distance_at_infinity(reference: Statistics, samples: Any, points: int = 15, seed: int = 0) -> float:
    """Intercept at 1/N = 0 of a line through the distances of random subsets of ``samples`` (N, D).

    Chong and Forsyth, arXiv 1911.07023, section 3: the distance's bias is linear in 1/N. The error of the intercept is
    about twice that of the distance itself.

    Args:
        reference: mean and covariance.
        samples: features.
        points: sizes of subsets, evenly spaced from the smaller of 5000 and N/10 up to N.
        seed: of the subsets.

    Raises:
        UserError: fewer than 20 samples.
    """
    rows = as_matrix(samples, "features for the extrapolation to infinitely many samples", 20)
    rng = np.random.default_rng(seed)
    sizes = np.linspace(min(LEAST, len(rows) // 10), len(rows), points).astype(int)
    distances = [_distance(reference, rows[rng.permutation(len(rows))[:size]]) for size in sizes]
    return float(np.polynomial.polynomial.polyfit(1 / sizes, distances, 1)[0])


def _distance(reference: Statistics, rows: Any) -> float:
    return frechet_distance_of_few(reference, rows, exact=False)


@register_metric("fid_infinity")
class FIDInfinity(Metric):
    """FID with the bias of a finite number of samples extrapolated away (arXiv 1911.07023)."""

    points: int = param(15, low=2, doc="sizes of subsets that the line is drawn through")
    seed: int = param(0, doc="of the subsets")
    against = "statistics"
    space = "inception"
    title = "FID (N=inf)"
    summary = "FID extrapolated to infinitely many samples (arXiv 1911.07023)"

    def compute(self, reference: FeatureSet, samples: FeatureSet) -> dict[str, float]:
        """One column; may be slightly negative."""
        self.check_space(reference, samples)
        statistics, rows = reference.statistics("features"), samples.array("features")
        return {self.name: frechet_distance_at_infinity(statistics, rows, self.points, self.seed)}
