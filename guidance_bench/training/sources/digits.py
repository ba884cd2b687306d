"""The 1,797 handwritten digits that scikit-learn carries (8 x 8 scans, ten classes)."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import ImageArray
from ..data.source import Source, register_source


@cache
def load_images() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (1797, 8, 8, 1) uint8 and labels (1797,); the scans' 17 grey levels are spread over 0..255."""
    rows = _rows()
    images = np.rint(rows[:, :-1].reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    return images, rows[:, -1].astype(np.int64)


def _rows() -> NDArray[np.float64]:
    """Grey levels and label of each scan, (1797, 65), from scikit-learn's file: its import takes seconds."""
    package = find_spec("sklearn")
    file = Path(package.origin or "").parent / "datasets" / "data" / "digits.csv.gz" if package else Path()
    if not file.is_file():  # elsewhere in this version; or its own error where it is not installed
        from sklearn.datasets import load_digits

        return np.column_stack(load_digits(return_X_y=True))
    rows: NDArray[np.float64] = np.loadtxt(file, delimiter=",")
    return rows


@register_source("digits")
class Digits(Source):
    """All of them."""

    summary: ClassVar[str] = "1,797 real 8x8 digits; they come with scikit-learn"

    def load(self) -> ImageArray:
        """Grey pixels in [-1, 1], (1, 8, 8)."""
        images, labels = load_images()
        return ImageArray("digits", images, labels, [str(digit) for digit in range(10)])
