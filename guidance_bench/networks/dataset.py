"""What networks are trained on."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass
class Dataset:
    """Latents in memory: x (N, C, H, W) float32 in about [-1, 1], y (N,) int64; ``name`` tells contents by their
    hash."""

    name: str
    x: Tensor
    y: Tensor
