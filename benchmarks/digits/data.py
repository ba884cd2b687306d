"""The 1,797 handwritten digits that scikit-learn carries (8 x 8 scans, ten classes)."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from guidance_bench.networks.dataset import Dataset


@cache
def load_images() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (1797, 8, 8, 1) uint8 and labels (1797,); the scans' 17 grey levels are spread over 0..255."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    return images, digits.target.astype(np.int64)


def to_latents(images: NDArray[np.uint8]) -> Tensor:
    """uint8 (N, 8, 8, 1) to pixels in [-1, 1], (N, 1, 8, 8) float32."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_images(latents: Tensor) -> NDArray[np.uint8]:
    """Pixels in [-1, 1] to uint8: clamp(127.5 x + 128) truncated, the rule of LightningDiT and ADM."""
    pixels = (127.5 * latents.double() + 128).clamp(0, 255).to(torch.uint8)
    images: NDArray[np.uint8] = pixels.permute(0, 2, 3, 1).cpu().numpy()
    return images


def dataset() -> Dataset:
    """The training set, named by the hash of its bytes."""
    images, labels = load_images()
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    return Dataset(f"digits@{digest[:16]}", to_latents(images), torch.from_numpy(labels))
