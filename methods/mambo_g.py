"""MAMBO-G: CFG that holds back where its update is large."""

from __future__ import annotations

import torch
from torch import Tensor

from guidance_bench.core.parameters import param
from guidance_bench.guidance.class_and_null import ClassAndNull
from guidance_bench.guidance.method import Step, per_sample_dot, register_method


@register_method("mambo_g")
class MagnitudeAwareGuidance(ClassAndNull):
    """v_null + w (v_class - v_null) with w = 1 + (scale - 1) exp(-alpha |v_class - v_null| / |v_null|), a sample each.

    "Magnitude-Aware Mitigation for Boosted Guidance", arXiv 2508.03442; the form is that of diffusers' guider of this
    name. Recommended for text to image: scale 10, alpha 8. The damping makes scales larger than those of CFG.
    """

    summary = "CFG damped where the update is large against the prediction"
    paper = "MAMBO-G: Magnitude-Aware Mitigation for Boosted Guidance, arXiv 2508.03442"
    space = "v"

    scale: float = param(4.0, doc="1 is no guidance")
    alpha: float = param(8.0, doc="damping; 0 is CFG")

    def combine(self, step: Step, cond: Tensor, null: Tensor) -> Tensor:
        """CFG, damped for each sample."""
        update = cond - null
        ratio = (per_sample_dot(update, update) / per_sample_dot(null, null).clamp_min(1e-12)).sqrt()
        return null + (1 + (self.scale - 1) * torch.exp(-self.alpha * ratio)) * update
