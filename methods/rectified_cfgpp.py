"""Rectified-CFG++: the guidance direction is taken where a conditional step would lead."""

from __future__ import annotations

from typing import ClassVar

from guidance_bench.guidance import Guidance, Guide, Query, Step, extrapolate, register_method
from guidance_bench.parameters import param


@register_method("rectified_cfgpp")
class RectifiedCFGPlusPlus(Guidance):
    """v_class(x, t) + (scale - 1) (v_class(x', t') - v_null(x', t')), x' = x + (t' - t) v_class(x, t).

    t' is the end of the step. Saini et al., "Rectified-CFG++ for Flow Based Models", NeurIPS 2025 (repository
    shreshthsaini/Rectified-CFGpp); the form is that of the program, with a constant weight a = scale - 1, which is 4.5
    there for text to image. In the second stage of a Heun step, where t' = t, it is CFG.
    """

    summary = "conditional velocity, corrected by CFG's direction at the end of a trial step"
    paper = "Rectified-CFG++ for Flow Based Models, NeurIPS 2025"
    space = "v"
    fixed_grid = True
    neutral: ClassVar = {"scale": 1.0}

    scale: float = param(1.5, doc="1 is no guidance; 1 + a of the paper")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """Three, two of them after the first; two in a step's second stage; one at scale 1."""
        return (1, 1) if self.scale == 1 else (2, 3)

    def guide(self, step: Step, query: Query) -> Guide:
        """Two forwards: of one, then of two."""
        if self.scale == 1:
            return (yield query)
        if step.t_next == step.t:
            cond, null = yield query, query.null()
            return extrapolate(null, cond, self.scale)
        cond = yield query
        ahead = query.at(x=step.x + (step.t_next - step.t) * cond, t=step.t_next)
        ahead_cond, ahead_null = yield ahead, ahead.null()
        return cond + (self.scale - 1) * (ahead_cond - ahead_null)
