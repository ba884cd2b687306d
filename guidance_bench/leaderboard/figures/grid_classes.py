"""Which class stands in which column of a sample grid, its name, and a real image of it."""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...core.errors import UserError
from ...storage.files import read_sealed, write_sealed
from ..registered.look_up import clean_state, registered
from ..registered.state import kept_file

if TYPE_CHECKING:
    from ...experiments.benchmark import Benchmark

#: uint8 (N, H, W, C).
Images = NDArray[np.uint8]

COLUMNS = 10
ROWS = 4
#: Of a kept answer.
KEYS = ("state", "heads", "shape", "pixels")


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

    To ask a benchmark takes torch, so what one of ours has told in full is kept, as what is registered is
    (:mod:`..registered.look_up`).

    Args:
        benchmark: its name; one that is not registered here tells nothing.
        policy: of the labels.
        samples: of the run.
        block: samples of the first block, of which the grid is chosen.
        seed: of the run.
    """
    source, _ = registered().code["benchmark"].get(benchmark, ("", {}))
    now = clean_state() if source == "built in" else None
    if not source or now is None:
        return _asked(benchmark, policy, samples, block, seed)[0] if source else Classes()
    file = kept_file("classes", benchmark, policy, samples, block, seed)
    kept = _read(file, now)
    if kept is not None:
        return kept
    found, whole = _asked(benchmark, policy, samples, block, seed)
    if whole:
        _keep(file, now, found)
    return found


def _asked(benchmark: str, policy: str, samples: int, block: int, seed: int) -> tuple[Classes, bool]:
    """What a benchmark tells, and whether that is all: its data may not be at hand yet."""
    from ...core.randomness import label_sequence
    from ...experiments.benchmark import BENCHMARKS

    made = BENCHMARKS.create(benchmark)
    try:
        names = made.class_names()
    except UserError:  # told by data that are not at hand
        return Classes(), False
    labels = label_sequence(policy, samples, len(names), seed)[:block].numpy()
    if places(labels) is None:
        return Classes(), True
    classes = np.unique(labels)
    heads = zip((names[c] for c in classes), _widths(len(classes)), strict=True)
    real = _real(made, classes)
    return Classes(tuple(heads), real), real is not None


def _real(benchmark: Benchmark, classes: NDArray[np.integer]) -> Images | None:
    try:
        data = benchmark.training_data()
    except UserError:
        return None
    labels = data.y.numpy()
    known = np.flatnonzero(np.isin(labels, classes))
    row = places(labels[known], rows=1)
    return None if row is None else benchmark.decode(data.x[known[row]])


def _read(file: Path, now: str) -> Classes | None:
    """Kept columns, where they are whole and of the present state."""
    try:
        kept = read_sealed(file, KEYS)
        heads = tuple((str(name), int(wide)) for name, wide in kept["heads"])
        pixels = np.frombuffer(base64.b64decode(kept["pixels"]), np.uint8).reshape(kept["shape"])
    except (UserError, TypeError, ValueError):
        return None
    return Classes(heads, pixels if pixels.size else None) if kept["state"] == now else None


def _keep(file: Path, now: str, found: Classes) -> None:
    """Columns for the next process; where the folder cannot be written it asks again."""
    real = np.empty(0, np.uint8) if found.real is None else found.real
    pixels = base64.b64encode(real.tobytes()).decode()
    with suppress(UserError):
        write_sealed(file, {"state": now, "heads": found.heads, "shape": real.shape, "pixels": pixels})
