"""Self-guidance from the step before: no evaluation more than without guidance."""

from __future__ import annotations

from typing import ClassVar

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import Guidance, Guide, Query, Step, extrapolate, register_method


@register_method("sg_prev")
class SelfGuidancePrevious(Guidance):
    """v_previous + scale (v - v_previous) for t < high, v_previous the conditional velocity of the step before.

    The one-forward variant ("SG-prev") of Li et al., "Self-Guidance: Boosting Flow and Diffusion Generation on Their
    Own", arXiv 2412.05827 (repository maple-research-lab/Self-Guidance: t < 0.5, omega = scale - 1 of 3). The larger
    the solver's steps, the stronger it is. The second evaluation of a Heun step is compared with the first of the same
    step, one step away like all others.
    """

    summary = "away from the previous step's velocity; costs nothing"
    paper = "Self-Guidance: Boosting Flow and Diffusion Generation on Their Own, arXiv 2412.05827"
    space = "v"
    fixed_grid = True
    versions: ClassVar = {"heun": 2}  # compared over two steps
    neutral: ClassVar = {"scale": 1.0}

    scale: float = param(1.5, doc="1 is no guidance; 1 + omega of the paper")
    high: float = param(0.5, high=1.0, doc="guided below this time (1 = noise)")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """One."""
        return 1, 1

    def guide(self, step: Step, query: Query) -> Guide:
        """One forward."""
        now = yield query
        before = (step.state if step.first is None else step.first).get("velocity")
        step.state["velocity"] = now
        if before is None or self.scale == 1 or step.t_interval >= self.high:
            return now
        return extrapolate(before, now, self.scale)
