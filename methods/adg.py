"""Angle-domain guidance: the data prediction is turned away from the one without a class, not stretched."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from guidance_bench.core.parameters import param
from guidance_bench.guidance.class_and_null import ClassAndNull
from guidance_bench.guidance.method import Step, per_sample_dot, register_method


@register_method("adg")
class AngleDomainGuidance(ClassAndNull):
    """cos(b) x0_class + sin(b) / sin(a) e, brought to the norm of x0_class; b = min((scale - 1) a, ``limit``).

    a is the angle between x0_class and x0_null, e the part of x0_class - x0_null perpendicular to x0_null, for each
    sample. Jin et al., "Angle Domain Guidance: Latent Diffusion Requires Rotation Rather Than Extrapolation", arXiv
    2506.11039 (repository jinc7461/ADG, whose norm step is optional: ``keep_norm``). Where sin(a) <= 0.001 the factor
    of e is its limit, scale - 1. That program adds 0.001 to scale - 1, so its scale 1 is not quite without guidance;
    and the norm that it keeps is over the channels at each place, not over the sample as here.
    """

    summary = "CFG that turns the data prediction and keeps its norm"
    paper = "Angle Domain Guidance: Latent Diffusion Requires Rotation Rather Than Extrapolation, arXiv 2506.11039"
    space = "x0"

    scale: float = param(1.5, low=1.0, doc="1 is no guidance; the paper tries 2 to 15")
    limit: float = param(math.pi / 3, high=math.pi, doc="largest turn, in radians")
    keep_norm: bool = param(True, doc="the result gets the norm of the conditional prediction")

    def combine(self, step: Step, cond: Tensor, null: Tensor) -> Tensor:
        """Turned in the plane of both data predictions."""
        across = cond - null
        across = across - per_sample_dot(across, null) / per_sample_dot(null, null).clamp_min(1e-12) * null
        size = per_sample_dot(cond, cond)
        cosine = per_sample_dot(cond, null) / (size * per_sample_dot(null, null)).sqrt().clamp_min(1e-12)
        angle = cosine.clamp(-1, 1).arccos()
        turn = ((self.scale - 1) * angle).clamp_max(self.limit)
        sine = angle.sin()
        factor = torch.where(sine > 1e-3, turn.sin() / sine.clamp_min(1e-3), self.scale - 1)
        turned = turn.cos() * cond + factor * across
        if self.keep_norm:
            turned = turned * (size / per_sample_dot(turned, turned).clamp_min(1e-12)).sqrt()
        return turned
