"""Mean and covariance of features, in one pass over batches or merged from several processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.arrays import as_matrix, slices
from ..core.errors import UserError

ROWS = 2048  # rows converted to float64 at a time


class Statistics(NamedTuple):
    """Mean (D,) and covariance (D, D) with ddof = 1, in float64."""

    mean: NDArray[Any]
    cov: NDArray[Any]


@dataclass
class StreamingStatistics:
    """Sums of features about a fixed shift, in float64.

    The shift is the mean of the first batch. Without it, features whose mean is large beside their spread lose their
    covariance to cancellation.
    """

    count: int = 0
    shift: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    total: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))  # sum of (x - shift)
    outer: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))  # sum of (x - shift)(x - shift)^T

    def update(self, batch: Any) -> None:
        """Add the rows of ``batch`` (n, D), NumPy or PyTorch.

        Raises:
            UserError: another D than before, or a value that is not finite.
        """
        rows = as_matrix(batch, "a batch of features", minimum=0).astype(np.float64)
        if not len(rows):
            return
        if not np.isfinite(rows).all():
            raise UserError(f"features hold a value that is not finite (after row {self.count})")
        if not self.count:
            self._start(rows.mean(axis=0))
        self._check_width(rows.shape[1])
        rows -= self.shift
        self.count += len(rows)
        self.total += rows.sum(axis=0)
        self.outer += rows.T @ rows

    def merge(self, other: StreamingStatistics) -> None:
        """Add what another instance, say of another process, has seen."""
        if not other.count:
            return
        if not self.count:
            self._start(other.shift)
        self._check_width(len(other.shift))
        move = other.shift - self.shift
        cross = np.outer(move, other.total)
        self.outer += other.outer + cross + cross.T + other.count * np.outer(move, move)
        self.total += other.total + other.count * move
        self.count += other.count

    def result(self) -> Statistics:
        """Mean and covariance of all rows so far.

        Raises:
            UserError: fewer than two rows.
        """
        if self.count < 2:
            raise UserError(f"a covariance needs at least 2 samples, there are {self.count}")
        offset = self.total / self.count
        cov = (self.outer - np.outer(offset, self.total)) / (self.count - 1)
        return Statistics(self.shift + offset, cov)

    def _start(self, shift: NDArray[np.float64]) -> None:
        self.shift = shift.copy()
        self.total = np.zeros_like(shift)
        self.outer = np.zeros((len(shift), len(shift)))

    def _check_width(self, width: int) -> None:
        if width != len(self.shift):
            raise UserError(f"features of {len(self.shift)} and {width} dimensions cannot be pooled")


def feature_statistics(features: Any) -> Statistics:
    """Mean (D,) and covariance (D, D; ddof = 1) in float64 of ``features`` (N, D), read in slices.

    Raises:
        UserError: not a matrix, fewer than two rows, or a value that is not finite.
    """
    array = as_matrix(features, "features", minimum=2)
    stream = StreamingStatistics()
    for rows in slices(len(array), ROWS):
        stream.update(array[rows])
    return stream.result()
