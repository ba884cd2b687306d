"""Pixels as latents: benchmarks without an autoencoder."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def to_latents(images: NDArray[np.uint8]) -> Tensor:
    """uint8 (N, H, W, C) to pixels in [-1, 1], (N, C, H, W) float32."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_images(latents: Tensor) -> NDArray[np.uint8]:
    """Pixels in [-1, 1] to uint8: clamp(127.5 x + 128) truncated, the rule of LightningDiT and ADM."""
    pixels = (127.5 * latents.double() + 128).clamp(0, 255).to(torch.uint8)
    images: NDArray[np.uint8] = pixels.permute(0, 2, 3, 1).cpu().numpy()
    return images
