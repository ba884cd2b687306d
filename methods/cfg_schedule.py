"""Classifier-free guidance whose scale changes with time."""

from __future__ import annotations

from typing import ClassVar

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import Guidance, Guide, Query, Step, extrapolate, register_method
from guidance_bench.guidance.schedules import RATE, SHAPES, scheduled_scale


@register_method("cfg_schedule")
class ScheduledCFG(Guidance):
    """v_null + w(t) (v_class - v_null), where w(t) grows toward data.

    Wang et al., "Analysis of Classifier-Free Guidance Weight Schedulers", arXiv 2404.13040, and C2FG, arXiv 2603.08155
    (exponential); the shapes and their forms for t in [0, 1] are those of
    :func:`guidance_bench.guidance.schedules.scheduled_scale`. Any method's scale can be scheduled likewise with
    :class:`guidance_bench.guidance.composition.Scheduled`.
    """

    summary = "CFG with a scale that grows toward data"
    paper = "Analysis of Classifier-Free Guidance Weight Schedulers, arXiv 2404.13040"
    neutral: ClassVar = {"scale": 1.0}

    scale: float = param(1.5, doc="1 is no guidance; the mean over time of linear and cosine")
    shape: str = param("linear", choices=SHAPES, doc="how the scale grows toward data")
    floor: float = param(1.0, doc="least scale of clamp_linear")
    power: float = param(1.0, low=0.1, high=10.0, doc="s of power_cosine")
    rate: float = param(RATE, quiet=True, doc="of exponential: ln 2 for DiT, 1 for SiT with the SDE")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """Two; one where the schedule is at 1, as at t = 1."""
        return 1, 2

    def guide(self, step: Step, query: Query) -> Guide:
        """One batched forward of two."""
        floor = self.floor if self.scale != 1 else 1.0
        scale = scheduled_scale(self.shape, self.scale, step.t, floor, self.power, self.rate)
        if scale == 1:
            return (yield query)
        cond, null = yield query, query.null()
        return extrapolate(null, cond, scale)
