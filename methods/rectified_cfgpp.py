"""Rectified-CFG++: the guidance direction is taken where a conditional step would lead."""

from __future__ import annotations

from typing import ClassVar

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import Guidance, Guide, Query, Step, register_method


@register_method("rectified_cfgpp")
class RectifiedCFGPlusPlus(Guidance):
    """v_class(x, t) + w (v_class(x', t') - v_null(x', t')), x' = x + (t' - t) v_class(x, t).

    w = (scale - 1) (1 - t)^power, and t' lies ``ahead`` of the way from t to the end of the step. Saini et al.,
    "Rectified-CFG++ for Flow Based Models", arXiv 2510.07631, NeurIPS 2025 (repository shreshthsaini/Rectified-CFGpp).
    The paper goes half the way; the program goes the whole way, with a constant weight of 4.5 for text to image. In
    the second stage of a Heun step, where no way is left, it is CFG.
    """

    summary = "conditional velocity, corrected by CFG's direction a trial step ahead"
    paper = "Rectified-CFG++ for Flow Based Models, arXiv 2510.07631"
    space = "v"
    fixed_grid = True
    neutral: ClassVar = {"scale": 1.0}

    scale: float = param(1.5, doc="1 is no guidance; 1 + lambda_max of the paper")
    ahead: float = param(0.5, low=0.01, high=1.0, doc="share of the step to look ahead")
    power: float = param(0.0, high=10.0, doc="gamma: how much the weight grows toward data; 0: constant")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """Three, two of them after the first; two in a step's second stage; one at scale 1."""
        return (1, 1) if self.scale == 1 else (2, 3)

    def guide(self, step: Step, query: Query) -> Guide:
        """Two forwards: of one, then of two."""
        if self.scale == 1:
            return (yield query)
        weight = (self.scale - 1) * (1 - step.t) ** self.power
        if step.t_next == step.t:
            cond, null = yield query, query.null()
            return cond + weight * (cond - null)
        cond = yield query
        way = self.ahead * (step.t_next - step.t)
        ahead = query.at(x=step.x + way * cond, t=step.t + way)
        ahead_cond, ahead_null = yield ahead, ahead.null()
        return cond + weight * (ahead_cond - ahead_null)
