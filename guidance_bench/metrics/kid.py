"""Kernel Inception distance.

Binkowski et al., "Demystifying MMD GANs", arXiv 1801.01401, section 4: the unbiased squared maximum mean discrepancy
with the kernel (x.y / D + 1)^3, averaged over random subsets. Subsets are drawn as torch-fidelity 0.4.0 draws them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..core.arrays import as_matrix, check_same_width
from ..core.parameters import param
from .base import Metric, register_metric

if TYPE_CHECKING:
    from ..features.feature_set import FeatureSet

WHOLE = 8192  # rows of both sides together whose kernels are held whole: half a gigabyte at most


def kernel_distance(
    reference: Any, samples: Any, subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> float:
    """Mean over ``subsets`` of the unbiased MMD^2 between ``subset_size`` rows of each (N, D); may be negative.

    Raises:
        UserError: fewer rows than ``subset_size``, or different D.
    """
    what = f"features for the kernel distance with subset_size={subset_size}"
    real, fake = as_matrix(reference, what, subset_size), as_matrix(samples, what, subset_size)
    check_same_width(real, fake)
    rng = np.random.RandomState(seed)
    chosen = [
        (rng.choice(len(fake), subset_size, replace=False), rng.choice(len(real), subset_size, replace=False))
        for _ in range(subsets)
    ]
    if len(fake) + len(real) <= WHOLE:
        return float(np.mean(_from_whole(real.astype(np.float64), fake.astype(np.float64), chosen)))
    values = [unbiased_mmd2(fake[x].astype(np.float64), real[y].astype(np.float64)) for x, y in chosen]
    return float(np.mean(values))


def _from_whole(
    real: NDArray[np.float64], fake: NDArray[np.float64], chosen: Sequence[tuple[NDArray[Any], NDArray[Any]]]
) -> NDArray[np.float64]:
    """:func:`unbiased_mmd2` of every pair of subsets, from kernels of all rows that are made once.

    With the 0-1 vector s of a subset, the sum of its part of a kernel K is s.K s.
    """
    x, y = (_indicators(rows, len(of)) for rows, of in zip(zip(*chosen, strict=True), (fake, real), strict=True))
    within = _subset_means(_kernel(fake, fake), x) + _subset_means(_kernel(real, real), y)
    size = len(chosen[0][0])
    across: NDArray[np.float64] = np.einsum("ij,ij->i", x @ _kernel(fake, real), y) / size**2
    return within - 2 * across


def _indicators(subsets: Sequence[NDArray[Any]], count: int) -> NDArray[np.float64]:
    ones = np.zeros((len(subsets), count))
    np.put_along_axis(ones, np.stack(subsets), 1.0, axis=1)
    return ones


def _subset_means(kernel: NDArray[np.float64], s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over each subset's pairs of different rows."""
    size = s[0].sum()
    sums: NDArray[np.float64] = np.einsum("ij,ij->i", s @ kernel, s) - s @ kernel.diagonal()
    return sums / (size * (size - 1))


def unbiased_mmd2(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Squared MMD between x (m, D) and y (n, D), without the diagonals (Gretton et al. 2012, equation 3)."""
    return _off_diagonal_mean(_kernel(x, x)) + _off_diagonal_mean(_kernel(y, y)) - 2 * float(_kernel(x, y).mean())


def _kernel(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    kernel: NDArray[np.float64] = (x @ y.T / x.shape[1] + 1) ** 3
    return kernel


def _off_diagonal_mean(kernel: NDArray[np.float64]) -> float:
    n = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (n * (n - 1)))


@register_metric("kernel_distance")
class KernelDistance(Metric):
    """Kernel distance in the feature space at hand."""

    subsets: int = param(100, low=1, doc="random subsets that are averaged")
    subset_size: int = param(1000, low=2, doc="samples of each side in a subset")
    seed: int = param(2020, doc="of the subsets")
    title = "KD"
    summary = "unbiased cubic-kernel MMD^2 of features, in whatever space they are"

    def compute(self, reference: FeatureSet, samples: FeatureSet) -> dict[str, float]:
        """One column, named as the metric."""
        self.check_space(reference, samples)
        arrays = reference.array("features"), samples.array("features")
        return {self.name: kernel_distance(*arrays, self.subsets, self.subset_size, self.seed)}


@register_metric("kid")
class KID(KernelDistance):
    """Kernel Inception distance (arXiv 1801.01401) with torch-fidelity's subsets."""

    space = "inception"
    title = "KID"
    summary = "kernel distance of Inception's pooled features, 100 subsets of 1000 as torch-fidelity"
