"""Which class stands in which column of a sample grid, its name, and a real image of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...core.errors import UserError

if TYPE_CHECKING:
    from ...experiments.benchmark import Benchmark

#: uint8 (N, H, W, C).
Images = NDArray[np.uint8]

COLUMNS = 10
ROWS = 4


def places(labels: NDArray[np.integer], rows: int = ROWS) -> NDArray[np.intp] | None:
    """Indices of ``rows * COLUMNS`` samples in reading order, so that each column is of one class.

    Fewer classes than columns have several columns each, side by side.

    Returns:
        None where there are more classes than columns, or too few samples of one.
    """
    classes = np.unique(labels)
    if len(classes) > COLUMNS:
        return None
    widths = _widths(len(classes))
    found = [np.flatnonzero(labels == c)[: rows * wide] for c, wide in zip(classes, widths, strict=True)]
    if any(len(one) < rows * wide for one, wide in zip(found, widths, strict=True)):
        return None
    return np.concatenate([one.reshape(rows, -1) for one in found], axis=1).ravel()


def _widths(classes: int) -> list[int]:
    """Columns of each class."""
    return np.bincount(np.arange(COLUMNS) * classes // COLUMNS).tolist()


@dataclass(frozen=True)
class Classes:
    """What a reader is told of the columns.

    Attributes:
        heads: name and number of columns of each class, from left to right; empty where columns are not classes.
        real: a row of real images, (COLUMNS, H, W, C), where the benchmark has some at hand.
    """

    heads: tuple[tuple[str, int], ...] = ()
    real: Images | None = None


def classes_of(benchmark: str, policy: str, samples: int, block: int, seed: int) -> Classes:
    """The columns of a run's grid: a run's labels hang on these words alone.

    Args:
        benchmark: its name; one that is not registered here tells nothing.
        policy: of the labels.
        samples: of the run.
        block: samples of the first block, of which the grid is chosen.
        seed: of the run.
    """
    from ...core.randomness import label_sequence
    from ...experiments.benchmark import BENCHMARKS

    if benchmark not in BENCHMARKS.names():
        return Classes()
    made = BENCHMARKS.create(benchmark)
    try:
        names = made.class_names()
    except UserError:  # told by data that are not at hand
        return Classes()
    labels = label_sequence(policy, samples, len(names), seed)[:block].numpy()
    if places(labels) is None:
        return Classes()
    classes = np.unique(labels)
    heads = zip((names[c] for c in classes), _widths(len(classes)), strict=True)
    return Classes(tuple(heads), _real(made, classes))


def _real(benchmark: Benchmark, classes: NDArray[np.integer]) -> Images | None:
    try:
        data = benchmark.training_data()
    except UserError:
        return None
    labels = data.y.numpy()
    known = np.flatnonzero(np.isin(labels, classes))
    row = places(labels[known], rows=1)
    return None if row is None else benchmark.decode(data.x[known[row]])
