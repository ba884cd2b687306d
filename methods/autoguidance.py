"""Autoguidance: away from a weaker version of the network."""

from __future__ import annotations

from typing import ClassVar

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import Guidance, Guide, Query, Step, extrapolate, register_method


@register_method("autoguidance")
class Autoguidance(Guidance):
    """v_weak + scale (v_main - v_weak), both for the sample's class, for low <= t <= high.

    Karras et al., "Guiding a Diffusion Model with a Bad Version of Itself", arXiv 2406.02507, eq. 3 with scale = w. A
    ``share`` below 1 mixes in CFG, as in its appendix: v_main + (scale - 1) (share (v_main - v_weak) + (1 - share)
    (v_main - v_null)).
    """

    summary = "away from a smaller, less trained network"
    paper = "Guiding a Diffusion Model with a Bad Version of Itself, arXiv 2406.02507"
    neutral: ClassVar = {"scale": 1.0}

    scale: float = param(2.0, doc="1 is no guidance")
    low: float = param(0.0, high=1.0, doc="guided from this time (0 = data)")
    high: float = param(1.0, high=1.0, doc="guided up to this time (1 = noise)")
    share: float = param(1.0, high=1.0, quiet=True, doc="of autoguidance in the direction; the rest is CFG")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """One, and one of the weak network; one more with CFG."""
        return 1, 1 if self.share == 1 else 2

    def guide(self, step: Step, query: Query) -> Guide:
        """One forward of each network."""
        if self.scale == 1 or not self.low <= step.t_interval <= self.high:
            return (yield query)
        if self.share < 1:
            return (yield from self._with_cfg(query))
        main, weak = yield query, query.weak()
        return extrapolate(weak, main, self.scale)

    def _with_cfg(self, query: Query) -> Guide:
        main, null, *weak = yield (query, query.null(), *([query.weak()] * (self.share > 0)))
        away = self.share * weak[0] if weak else 0.0
        return main + (self.scale - 1) * (main - away - (1 - self.share) * null)
