"""The 1,797 handwritten digits that scikit-learn carries (8 x 8 scans, ten classes)."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from guidance_bench.networks.dataset import Dataset

from ..shared.pixels import to_images, to_latents

__all__ = ["dataset", "load_images", "to_images", "to_latents"]


@cache
def load_images() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (1797, 8, 8, 1) uint8 and labels (1797,); the scans' 17 grey levels are spread over 0..255."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    return images, digits.target.astype(np.int64)


def dataset() -> Dataset:
    """The training set, named by the hash of its bytes."""
    images, labels = load_images()
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    return Dataset(f"digits@{digest[:16]}", to_latents(images), torch.from_numpy(labels))
