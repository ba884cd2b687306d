"""The linear interpolant and its conversions, in the one convention of the project.

x_t = (1 - t) x0 + t eps and v = eps - x0, with **t = 1 noise and t = 0 data** (Ma et al., "SiT", arXiv 2401.08740,
section 2, with time as in REPA, arXiv 2410.06940). From x_t and v: x0 = x_t - t v, eps = x_t + (1 - t) v, score =
-eps / t.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

Space = Literal["v", "x0", "eps"]


def interpolate(x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """x_t for data ``x0`` and ``noise`` (N, C, H, W) at times ``t`` (N,)."""
    t = t.view(-1, *([1] * (x0.dim() - 1)))
    return (1 - t) * x0 + t * noise


def from_velocity(space: Space, x: Tensor, t: float, v: Tensor) -> Tensor:
    """Express velocity ``v`` at (x, t) as "v", "x0" or "eps"."""
    if space == "x0":
        return x - t * v
    if space == "eps":
        return x + (1 - t) * v
    return v


def to_velocity(space: Space, x: Tensor, t: float, value: Tensor) -> Tensor:
    """Inverse of :func:`from_velocity`. "x0" needs t > 0, "eps" needs t < 1: there the two hold no velocity.

    Raises:
        ZeroDivisionError: at the time where the space does not determine the velocity.
    """
    if space == "x0":
        if t == 0:
            raise ZeroDivisionError("x0 at t = 0 does not determine the velocity")
        return (x - value) / t
    if space == "eps":
        if t == 1:
            raise ZeroDivisionError("eps at t = 1 does not determine the velocity")
        return (value - x) / (1 - t)
    return value


def score(x: Tensor, t: float, v: Tensor) -> Tensor:
    """Score -eps / t of the marginal at (x, t), t > 0."""
    return -(x + (1 - t) * v) / t
