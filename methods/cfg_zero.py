"""CFG-Zero*: the unconditional velocity in its best scale, and no first step."""

from __future__ import annotations

from typing import ClassVar

import torch

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import Guidance, Guide, Query, Step, extrapolate, per_sample_dot, register_method


@register_method("cfg_zero")
class CFGZeroStar(Guidance):
    """s v_null + scale (v_class - s v_null) with s = <v_class, v_null> / |v_null|^2; the first steps stand still.

    Fan et al., "CFG-Zero*: Improved Classifier-Free Guidance for Flow Matching Models", arXiv 2503.18886 (repository
    WeichenFan/CFG-Zero-star). s is each sample's own. The first ``zero_steps`` steps have velocity zero, for the
    velocity of an underfitted model is worse than none there; they ask no network.
    """

    summary = "CFG with an optimally scaled unconditional velocity and zeroed first steps"
    paper = "CFG-Zero*: Improved Classifier-Free Guidance for Flow Matching Models, arXiv 2503.18886"
    space = "v"
    fixed_grid = True
    neutral: ClassVar = {"scale": 1.0, "zero_steps": 0}

    scale: float = param(1.5, doc="1 is no guidance")
    zero_steps: int = param(1, doc="K: first steps of velocity zero")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """None in the zeroed steps, then two; one at scale 1."""
        most = 1 if self.scale == 1 else 2
        return (0 if self.zero_steps else most), most

    def guide(self, step: Step, query: Query) -> Guide:
        """One batched forward of two."""
        if step.index < self.zero_steps:
            return torch.zeros_like(step.x)
        if self.scale == 1:
            return (yield query)
        cond, null = yield query, query.null()
        null = per_sample_dot(cond, null) / per_sample_dot(null, null).clamp_min(1e-12) * null
        return extrapolate(null, cond, self.scale)
