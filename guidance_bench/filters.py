"""Blurs and the two-times pyramid that methods and edits share, on grids of any size."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def gaussian_weights(size: int, sigma: float, like: Tensor) -> Tensor:
    """(size, size) matrix that blurs a line; each row sums to one, at the borders too. Infinite sigma: the mean."""
    if math.isinf(sigma):
        return torch.full((size, size), 1 / size, dtype=like.dtype, device=like.device)
    places = torch.arange(size, dtype=torch.float32, device=like.device)
    weights = torch.exp(-0.5 * ((places[:, None] - places) / sigma) ** 2)
    return (weights / weights.sum(1, keepdim=True)).to(like.dtype)


def gaussian_blur(x: Tensor, sigma: float) -> Tensor:
    """Blur the last two dimensions (..., H, W) by a Gaussian of ``sigma`` places, renormalised at the borders."""
    rows, columns = (gaussian_weights(size, sigma, x) for size in x.shape[-2:])
    return rows @ x @ columns.T


def low_pass(x: Tensor, stride: int = 1) -> Tensor:
    """What is left of x (N, C, H, W) after a step down and up a pyramid: blurred, halved, enlarged.

    The blur is the binomial (1, 4, 6, 4, 1) / 16 of Burt and Adelson, "The Laplacian Pyramid as a Compact Image Code".
    At level k of a pyramid that keeps the full size, ``stride`` is 2^k: places that far apart are neighbours.
    """
    half = [max(1, size // (2 * stride)) for size in x.shape[-2:]]
    small = F.interpolate(_binomial(x, stride), size=half, mode="bilinear", align_corners=False, antialias=False)
    return F.interpolate(small, size=x.shape[-2:], mode="bilinear", align_corners=False)


def _binomial(x: Tensor, stride: int) -> Tensor:
    taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=x.dtype, device=x.device) / 16
    kernel = (taps[:, None] * taps).expand(x.shape[1], 1, 5, 5)
    return F.conv2d(F.pad(x, [2 * stride] * 4, mode="replicate"), kernel, groups=x.shape[1], dilation=stride)
