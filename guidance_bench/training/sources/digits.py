"""The 1,797 handwritten digits that scikit-learn carries (8 x 8 scans, ten classes)."""

from __future__ import annotations

from functools import cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import ImageArray
from ..data.source import Source, register_source


@cache
def load_images() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (1797, 8, 8, 1) uint8 and labels (1797,); the scans' 17 grey levels are spread over 0..255."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    return images, digits.target.astype(np.int64)


@register_source("digits")
class Digits(Source):
    """All of them."""

    summary: ClassVar[str] = "1,797 real 8x8 digits; they come with scikit-learn"

    def load(self) -> ImageArray:
        """Grey pixels in [-1, 1], (1, 8, 8)."""
        images, labels = load_images()
        return ImageArray("digits", images, labels, [str(digit) for digit in range(10)])
