"""MAMBO-G: CFG that holds back where its update is large."""

from __future__ import annotations

from typing import ClassVar

import torch

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import Guidance, Guide, Query, Step, per_sample_dot, register_method


@register_method("mambo_g")
class MagnitudeAwareGuidance(Guidance):
    """v_null + w (v_class - v_null) with w = 1 + (scale - 1) exp(-alpha |v_class - v_null| / |v_null|), a sample each.

    "Magnitude-Aware Mitigation for Boosted Guidance", arXiv 2508.03442; the form is that of diffusers' guider of this
    name. Recommended for text to image: scale 10, alpha 8. The damping makes scales larger than those of CFG.
    """

    summary = "CFG damped where the update is large against the prediction"
    paper = "MAMBO-G: Magnitude-Aware Mitigation for Boosted Guidance, arXiv 2508.03442"
    space = "v"
    neutral: ClassVar = {"scale": 1.0}

    scale: float = param(4.0, doc="1 is no guidance")
    alpha: float = param(8.0, doc="damping; 0 is CFG")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """Two; one at scale 1."""
        return (1, 1) if self.scale == 1 else (2, 2)

    def guide(self, step: Step, query: Query) -> Guide:
        """One batched forward of two."""
        if self.scale == 1:
            return (yield query)
        cond, null = yield query, query.null()
        update = cond - null
        ratio = (per_sample_dot(update, update) / per_sample_dot(null, null).clamp_min(1e-12)).sqrt()
        return null + (1 + (self.scale - 1) * torch.exp(-self.alpha * ratio)) * update
