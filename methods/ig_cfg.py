"""Internal Guidance inside each branch of classifier-free guidance."""

from __future__ import annotations

from typing import ClassVar

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import METHODS, Guidance, Guide, Query, Step, extrapolate, register_method, together


@register_method("ig_cfg")
class InternalGuidanceWithCFG(Guidance):
    """v_b = v_i,b + ig_scale (v_f,b - v_i,b) for b in {class, null}, then v_null + cfg_scale (v_class - v_null).

    The order of the official program (CVL-UESTC/Internal-Guidance): Internal Guidance first, in each branch, then CFG;
    each has its own interval. Four velocities from one batched forward of two. arXiv 2512.24176. RAEv2 (arXiv
    2605.18324, repository nanovisionx/RAEv2 @8a0d238) gives the null branch a scale of its own: ``null_scale``.
    """

    summary = "Internal Guidance inside both branches of CFG"
    paper = "Guiding a Diffusion Transformer with the Internal Dynamics of Itself, arXiv 2512.24176"
    neutral: ClassVar = {"ig_scale": 1.0, "cfg_scale": 1.0}

    ig_scale: float = param(1.4, doc="1 is no Internal Guidance")
    ig_low: float = param(0.0, high=1.0, doc="Internal Guidance from this time (0 = data)")
    ig_high: float = param(1.0, high=1.0, doc="Internal Guidance up to this time (1 = noise)")
    cfg_scale: float = param(1.35, doc="1 is no CFG")
    cfg_low: float = param(0.0, high=1.0, doc="CFG from this time (0 = data)")
    cfg_high: float = param(0.7, high=1.0, doc="CFG up to this time (1 = noise)")
    tap: int | None = param(None, low=1, doc="block of the internal head; none: the trained one")
    channels: int | None = param(None, low=1, doc="CFG on the first channels only; none: all")
    null_scale: float | None = param(None, quiet=True, doc="of Internal Guidance in the null branch; none: ig_scale")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """One outside the interval of CFG, two inside."""
        return 1, 2

    def guide(self, step: Step, query: Query) -> Guide:
        """One batched forward of two, each read at two heads."""
        inner = self._inner(self.ig_scale)
        if self.cfg_scale == 1 or not self.cfg_low <= step.t_interval <= self.cfg_high:
            return (yield from inner.guide(step, query))
        away = inner if self.null_scale is None else self._inner(self.null_scale)
        cond, null = yield from together(inner.guide(step, query), away.guide(step, query.null()))
        return extrapolate(null, cond, self.cfg_scale, self.channels)

    def _inner(self, scale: float) -> Guidance:
        return METHODS.create("ig", scale=scale, low=self.ig_low, high=self.ig_high, tap=self.tap)
