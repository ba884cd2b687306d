"""Blurs and the Laplacian pyramid that methods and edits share, on grids of any size."""

from __future__ import annotations

import math
from collections.abc import Sequence

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


def high_pass(x: Tensor, cutoff: float, slope: float = 50.0) -> Tensor:
    """High frequencies of the last two dimensions (..., H, W), by the orthonormal discrete cosine transform.

    The component (i, j) is weighed by sigmoid(slope (r - cutoff)), r = sqrt((i / H)^2 + (j / W)^2), as in HiGS (arXiv
    2509.22300).
    """
    rows, columns = (cosine_transform(size, x) for size in x.shape[-2:])
    i, j = (torch.arange(size, dtype=x.dtype, device=x.device) / size for size in x.shape[-2:])
    weights = torch.sigmoid(slope * (torch.hypot(i[:, None], j) - cutoff))
    return rows.T @ (weights * (rows @ x @ columns.T)) @ columns


def cosine_transform(size: int, like: Tensor) -> Tensor:
    """The orthonormal DCT-II of a line as a (size, size) matrix; its transpose is the inverse."""
    places = torch.arange(size, dtype=torch.float64, device=like.device)
    matrix = torch.cos(math.pi / size * (places + 0.5) * places[:, None]) * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix.to(like.dtype)


def pyramid(x: Tensor, levels: int) -> list[Tensor]:
    """Laplacian pyramid of x (N, C, H, W): ``levels`` bands, the finest first, each half as wide as the one before.

    Burt and Adelson, "The Laplacian Pyramid as a Compact Image Code": a band is what blurring, halving and enlarging
    loses. Halving and enlarging are bilinear and the blur follows the enlargement, as in kornia's pyramid.
    """
    if levels == 1:
        return [x]
    half = [max(1, size // 2) for size in x.shape[-2:]]
    small = F.interpolate(_binomial_blur(x), size=half, mode="bilinear", align_corners=False)
    return [x - _enlarged(small, x.shape[-2:]), *pyramid(small, levels - 1)]


def collapse(bands: Sequence[Tensor]) -> Tensor:
    """The sum of a pyramid's bands, enlarged as they were; the inverse of :func:`pyramid`."""
    if len(bands) == 1:
        return bands[0]
    return bands[0] + _enlarged(collapse(bands[1:]), bands[0].shape[-2:])


def _enlarged(x: Tensor, size: Sequence[int]) -> Tensor:
    return _binomial_blur(F.interpolate(x, size=list(size), mode="bilinear", align_corners=False))


def _binomial_blur(x: Tensor) -> Tensor:
    """Blur by (1, 4, 6, 4, 1) / 16 in both directions; mirrored at the borders, or repeated where x is too small."""
    taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=x.dtype, device=x.device) / 16
    kernel = (taps[:, None] * taps).expand(x.shape[1], 1, 5, 5)
    border = "reflect" if min(x.shape[-2:]) > 2 else "replicate"
    return F.conv2d(F.pad(x, [2] * 4, mode=border), kernel, groups=x.shape[1])
