"""Classifier-free guidance, with an interval and a choice of channels."""

from __future__ import annotations

from typing import ClassVar

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import Guidance, Guide, Query, Step, extrapolate, register_method


@register_method("cfg")
class ClassifierFreeGuidance(Guidance):
    """v_null + scale (v_class - v_null) for low <= t <= high.

    Ho and Salimans, arXiv 2207.12598, eq. 6 with scale = 1 + w; the interval is Kynkaanniemi et al., arXiv 2404.07724.
    Both borders belong to the interval, as in the REPA and Internal-Guidance programs. Upstream SiT and LightningDiT
    guide the first 3 channels only, so scales of different ``channels`` cannot be compared.
    """

    summary = "away from the prediction without a class"
    paper = "Classifier-Free Diffusion Guidance, arXiv 2207.12598"
    neutral: ClassVar = {"scale": 1.0}

    scale: float = param(1.5, doc="1 is no guidance")
    low: float = param(0.0, high=1.0, doc="guided from this time (0 = data)")
    high: float = param(1.0, high=1.0, doc="guided up to this time (1 = noise)")
    channels: int | None = param(None, low=1, doc="guide the first channels only; none: all")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """One outside the interval, two inside."""
        return 1, 2

    def guide(self, step: Step, query: Query) -> Guide:
        """One batched forward of two; one of one outside the interval."""
        if self.scale == 1 or not self.low <= step.t_interval <= self.high:
            return (yield query)
        cond, null = yield query, query.null()
        return extrapolate(null, cond, self.scale, self.channels)
