"""The 1,797 handwritten digits that scikit-learn carries (8 x 8 scans, ten classes)."""

from __future__ import annotations

import hashlib

import torch

from guidance_bench.networks.dataset import Dataset
from guidance_bench.training.sources.digits import load_images

from ..shared.pixels import to_images, to_latents

__all__ = ["dataset", "load_images", "to_images", "to_latents"]


def dataset() -> Dataset:
    """The training set, named by the hash of its bytes."""
    images, labels = load_images()
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    return Dataset(f"digits@{digest[:16]}", to_latents(images), torch.from_numpy(labels))
