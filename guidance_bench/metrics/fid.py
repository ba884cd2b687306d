"""Frechet distance between Gaussians fitted to features; FID and sFID are the same on two layers of Inception.

Heusel et al., "GANs trained by a two time-scale update rule", arXiv 1706.08500, equation 6:
|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^{1/2}). With C = F F^T the last trace is the nuclear norm of F_a^T F_b, hence
real and not negative whatever the rounding, where a general matrix square root may turn complex.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.arrays import as_matrix, as_numpy, check_same_width
from ..core.errors import UserError
from ..features.statistics import Statistics, feature_statistics
from .base import Metric, register_metric

if TYPE_CHECKING:
    from ..features.feature_set import FeatureSet

# Below this ratio of smallest to largest squared pivot, square roots of rounding errors would show in the distance.
WELL_CONDITIONED = 1e-8

_factors: dict[bytes, Tensor] = {}


def frechet_distance(mean_a: Any, cov_a: Any, mean_b: Any, cov_b: Any) -> float:
    """Squared Frechet (2-Wasserstein) distance of N(mean_a, cov_a) and N(mean_b, cov_b), in float64.

    Args:
        mean_a: (D,), NumPy or PyTorch, any real dtype.
        cov_a: (D, D), symmetric, positive semi-definite; may be singular.
        mean_b: (D,).
        cov_b: (D, D).

    Raises:
        UserError: shapes that do not match, or a value that is not finite.
    """
    a, b = _checked(mean_a, cov_a), _checked(mean_b, cov_b)
    if a.mean.shape != b.mean.shape:
        raise UserError(f"statistics of {len(a.mean)} and {len(b.mean)} dimensions cannot be compared")
    cross = _trace_sqrt_product(torch.from_numpy(a.cov), torch.from_numpy(b.cov))
    return _distance(a.mean - b.mean, np.trace(a.cov) + np.trace(b.cov), cross)


def frechet_distance_from_features(features_a: Any, features_b: Any) -> float:
    """The same distance from features (N, D) and (M, D).

    Where both N and M are below D the covariances are never formed: their factors are the centred features, and the
    nuclear norm is that of an (N, M) matrix, which is exact and much cheaper.

    Raises:
        UserError: as :func:`frechet_distance`, or fewer than two rows.
    """
    a = as_matrix(features_a, "features", minimum=2)
    b = as_matrix(features_b, "features", minimum=2)
    check_same_width(a, b)
    if max(len(a), len(b)) >= a.shape[1]:
        return frechet_distance(*feature_statistics(a), *feature_statistics(b))
    mean_a, factor_a = _centred(a)
    mean_b, factor_b = _centred(b)
    traces = float(np.square(factor_a).sum() + np.square(factor_b).sum())
    return _distance(mean_a - mean_b, traces, _nuclear_norm(torch.from_numpy(factor_a @ factor_b.T)))


def frechet_distance_of_few(reference: Statistics, samples: Any, *, exact: bool = True) -> float:
    """The distance from a Gaussian to fewer rows (N, D) than dimensions, N < D, without their (D, D) covariance.

    The centred rows are a factor of it, so the matrix whose nuclear norm is taken has N rows.

    Args:
        reference: mean (D,) and covariance (D, D).
        samples: features; of D rows or more :func:`frechet_distance` is used.
        exact: from singular values; False: from the square roots of eigenvalues of an (N, N) matrix, which is five
            times faster and equal to about 1e-6 where the reference is nearly singular.

    Raises:
        UserError: as :func:`frechet_distance`, or fewer than two rows.
    """
    rows = as_matrix(samples, "features", minimum=2)
    given = _checked(*reference)
    if len(rows) >= rows.shape[1]:
        return frechet_distance(*given, *feature_statistics(rows))
    if rows.shape[1] != len(given.mean):
        raise UserError(f"statistics of {len(given.mean)} and {rows.shape[1]} dimensions cannot be compared")
    mean, factor = _centred(rows)
    f, cov = torch.from_numpy(factor), torch.from_numpy(given.cov)
    if exact:
        cross = _nuclear_norm(f @ _kept_factor(cov))
    else:
        cross = float(torch.linalg.eigvalsh(f @ cov @ f.T).clamp(min=0).sqrt().sum())
    return _distance(given.mean - mean, np.trace(given.cov) + np.square(factor).sum(), cross)


def _checked(mean: Any, cov: Any) -> Statistics:
    m, c = as_numpy(mean).astype(np.float64), as_numpy(cov).astype(np.float64)
    if m.ndim != 1 or c.shape != (len(m), len(m)):
        raise UserError(f"a mean of shape {m.shape} and a covariance of shape {c.shape} do not belong together")
    if not (np.isfinite(m).all() and np.isfinite(c).all()):
        raise UserError("statistics hold a value that is not finite")
    return Statistics(m, (c + c.T) / 2)


def _centred(features: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rows = features.astype(np.float64)
    if not np.isfinite(rows).all():
        raise UserError("features hold a value that is not finite")
    mean = rows.mean(axis=0)
    return mean, (rows - mean) / np.sqrt(len(rows) - 1)


def _distance(difference: NDArray[np.float64], traces: float, cross: float) -> float:
    # The distance is not negative; rounding may make it so where the two Gaussians are equal.
    return max(0.0, float(difference @ difference + traces - 2 * cross))


def _trace_sqrt_product(a: Tensor, b: Tensor) -> float:
    """tr (a b)^{1/2} of symmetric positive semi-definite (D, D) matrices."""
    factor_a, factor_b = _triangular_factor(a), _triangular_factor(b)
    if factor_a is None or factor_b is None:
        return _nuclear_norm(_spectral_factor(a).T @ _spectral_factor(b))
    # The same number, twice as fast; its square roots of small eigenvalues are why both must be well conditioned.
    return float(torch.linalg.eigvalsh(factor_a.T @ b @ factor_a).clamp(min=0).sqrt().sum())


def _triangular_factor(cov: Tensor) -> Tensor | None:
    """Cholesky's factor, or None of a matrix that is singular or nearly so."""
    factor, failed = torch.linalg.cholesky_ex(cov)
    pivots = factor.diagonal().square()
    return None if failed or pivots.min() < WELL_CONDITIONED * pivots.max() else factor


def _kept_factor(cov: Tensor) -> Tensor:
    """:func:`_spectral_factor`, kept for the last two: every run of a line-up is compared with the same references."""
    key = hashlib.blake2b(cov.numpy().data).digest()
    if key not in _factors:
        if len(_factors) > 1:
            _factors.pop(next(iter(_factors)))
        _factors[key] = _spectral_factor(cov)
    return _factors[key]


def _spectral_factor(cov: Tensor) -> Tensor:
    """F (D, rank) with F F^T = cov, from the eigenvalues that stand above rounding."""
    values, vectors = torch.linalg.eigh(cov)
    keep = values > values.abs().max() * len(values) * torch.finfo(values.dtype).eps
    factor: Tensor = vectors[:, keep] * values[keep].sqrt()
    return factor


def _nuclear_norm(matrix: Tensor) -> float:
    return float(torch.linalg.svdvals(matrix).sum()) if matrix.numel() else 0.0


class FrechetMetric(Metric):
    """Base of the rows below: the Frechet distance of one named feature.

    Attributes:
        layer: the feature's name in a :class:`FeatureSet`.
    """

    against = "statistics"
    layer: ClassVar[str] = "features"

    def compute(self, reference: FeatureSet, samples: FeatureSet) -> dict[str, float]:
        """One column, named as the metric."""
        self.check_space(reference, samples)
        a = reference.statistics(self.layer)
        if samples.has(self.layer) and len(samples.array(self.layer)) < len(a.mean):
            return {self.name: frechet_distance_of_few(a, samples.array(self.layer))}
        return {self.name: frechet_distance(*a, *samples.statistics(self.layer))}


@register_metric("frechet_distance")
class FrechetDistance(FrechetMetric):
    """Frechet distance in the feature space at hand, whichever network made it."""

    title = "FD"
    summary = "Frechet distance of features, in whatever space they are"


@register_metric("fid")
class FID(FrechetMetric):
    """Frechet Inception distance (arXiv 1706.08500) on the 2048 pooled features."""

    space = "inception"
    title = "FID"
    summary = "Frechet distance of Inception's 2048 pooled features"


@register_metric("sfid")
class SFID(FrechetMetric):
    """Spatial FID (Nash et al., arXiv 2103.03841) on 7 channels of the 17 x 17 map, as OpenAI's evaluator."""

    needs = ("spatial",)
    layer = "spatial"
    space = "inception"
    title = "sFID"
    summary = "Frechet distance of Inception's 7 x 17 x 17 spatial features"
