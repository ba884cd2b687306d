"""Internal Guidance: away from the prediction of an intermediate block."""

from __future__ import annotations

from typing import ClassVar

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import Guidance, Guide, Query, Step, extrapolate, register_method


@register_method("ig")
class InternalGuidance(Guidance):
    """v_i + scale (v_f - v_i) for low <= t <= high; v_i is read after block ``tap`` of the same forward pass as v_f.

    "Guiding a Diffusion Transformer with the Internal Dynamics of Itself", arXiv 2512.24176.
    """

    summary = "away from an internal head of the same forward pass"
    paper = "Guiding a Diffusion Transformer with the Internal Dynamics of Itself, arXiv 2512.24176"
    neutral: ClassVar = {"scale": 1.0}

    scale: float = param(1.7, doc="1 is no guidance")
    low: float = param(0.0, high=1.0, doc="guided from this time (0 = data)")
    high: float = param(1.0, high=1.0, doc="guided up to this time (1 = noise)")
    tap: int | None = param(None, low=1, doc="block of the internal head; none: the trained one")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """One: both heads share it."""
        return 1, 1

    def guide(self, step: Step, query: Query) -> Guide:
        """One forward pass, two heads."""
        if self.scale == 1 or not self.low <= step.t_interval <= self.high:
            return (yield query)
        final, internal = yield query, query.internal(self.tap)
        return extrapolate(internal, final, self.scale)
