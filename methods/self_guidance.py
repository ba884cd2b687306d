"""Self-guidance: away from the prediction for a noisier time."""

from __future__ import annotations

from typing import ClassVar

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import Guidance, Guide, Query, Step, extrapolate, register_method


@register_method("self_guidance")
class SelfGuidance(Guidance):
    """v(x, t') + scale (v(x, t) - v(x, t')), t' = min(t + shift, 1), at the same latents x.

    Li et al., "Self-Guidance: Boosting Flow and Diffusion Generation on Their Own", arXiv 2412.05827 (repository
    maple-research-lab/Self-Guidance: shift 10 of 1000 steps, omega = scale - 1 of 1 to 3). Velocities are combined, as
    that program combines a flow model's outputs.
    """

    summary = "away from the prediction for a slightly noisier time"
    paper = "Self-Guidance: Boosting Flow and Diffusion Generation on Their Own, arXiv 2412.05827"
    space = "v"
    neutral: ClassVar = {"scale": 1.0}

    scale: float = param(2.0, doc="1 is no guidance; 1 + omega of the paper")
    shift: float = param(0.01, low=1e-4, high=0.5, doc="delta: how much noisier")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """Two; one at scale 1 and at t = 1, where nothing is noisier."""
        return (1, 1) if self.scale == 1 else (1, 2)

    def guide(self, step: Step, query: Query) -> Guide:
        """One batched forward of two."""
        noisier = min(step.t + self.shift, 1.0)
        if self.scale == 1 or noisier == step.t:
            return (yield query)
        now, before = yield query, query.at(t=noisier)
        return extrapolate(before, now, self.scale)
