"""Sliding-window guidance: away from what the network makes of each window of the latents alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from guidance_bench.core.errors import UserError
from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import Guidance, Guide, Query, Step, register_method
from guidance_bench.networks.backbone import Edit
from guidance_bench.networks.own_edits import register_edit


@dataclass(frozen=True)
class Window(Edit):
    """A square of the grid of tokens: ``size`` rows from ``top``, as many columns from ``left``."""

    top: int = 0
    left: int = 0
    size: int = 1


@register_edit("attention_window", "attention")
def window_attention(edit: Window, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention among the tokens of the window alone, each (N, heads, T, D / heads); the others get nothing."""
    side = math.isqrt(v.shape[2])
    grid = torch.arange(v.shape[2], device=v.device).view(side, side)
    inside = grid[edit.top : edit.top + edit.size, edit.left : edit.left + edit.size].flatten()
    mixed = torch.zeros_like(v)
    mixed[:, :, inside] = F.scaled_dot_product_attention(q[:, :, inside], k[:, :, inside], v[:, :, inside])
    return mixed


@register_method("swg")
class SlidingWindowGuidance(Guidance):
    """v_class + (scale - 1) M (v_class - v_w), v_w the mean of the predictions of overlapping windows, each for itself.

    M is 1 where windows overlap, else 0 (``masked``; without it 1 everywhere). Adaloglou et al., "Guiding a diffusion
    model with itself using sliding windows", arXiv 2411.10257; repository HHU-MMBS/swg_bmvc2025_official @2ab1a60,
    where DiT-XL/2 gets two windows each way of 20 / 32 of the side, w = scale - 1 of 0.5 (best FID) or 1.5. There a
    window is cut out and positions are stretched over it; here its tokens see no others and keep their positions. A
    window costs a whole evaluation here, for the other tokens are carried along.
    """

    summary = "away from the prediction of windows that see nothing else"
    paper = "Guiding a diffusion model with itself using sliding windows, arXiv 2411.10257"
    neutral: ClassVar = {"scale": 1.0}

    scale: float = param(1.5, doc="1 is no guidance; 1 + w of the paper")
    size: float = param(0.625, low=0.5, high=1.0, doc="of a window over the side of the latents")
    windows: int = param(2, low=2, high=8, doc="windows each way")
    masked: bool = param(True, doc="guided where windows overlap alone")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """One for each window besides; one at scale 1."""
        return (1, 1) if self.scale == 1 else (1, 1 + self.windows**2)

    def guide(self, step: Step, query: Query) -> Guide:
        """One batched forward of one more than there are windows."""
        if self.scale == 1:
            return (yield query)
        size, corners = self._corners(math.isqrt(step.tokens))
        layers = tuple(range(1, step.depth + 1))
        edits = (Window("attention_window", layers, top=top, left=left, size=size) for top, left in corners)
        cond, *seen = yield (query, *map(query.edited, edits))
        patch = step.x.shape[-1] // math.isqrt(step.tokens)
        total, count = torch.zeros_like(cond), torch.zeros_like(cond)
        for (top, left), velocity in zip(corners, seen, strict=True):
            rows, columns = (slice(start * patch, (start + size) * patch) for start in (top, left))
            total[..., rows, columns] += velocity[..., rows, columns]
            count[..., rows, columns] += 1
        mask = count > (1 if self.masked else 0)
        return cond + (self.scale - 1) * mask * (cond - total / count.clamp_min(1))

    def _corners(self, side: int) -> tuple[int, list[tuple[int, int]]]:
        """The size of a window in tokens, and where each begins."""
        if side == 0:
            raise UserError("method 'swg' cuts windows out of a grid of tokens, and this network has none")
        size = math.ceil(self.size * side - 1e-9)
        starts = sorted({round(i * (side - size) / (self.windows - 1)) for i in range(self.windows)})
        return size, list(product(starts, starts))
