"""HiGS: the guided data prediction pushed away from the mean of the earlier ones, in high frequencies."""

from __future__ import annotations

import math
from typing import ClassVar

from torch import Tensor

from guidance_bench.core.parameters import param
from guidance_bench.guidance.filters import high_pass
from guidance_bench.guidance.method import Guidance, Guide, Query, Step, extrapolate, per_sample_dot, register_method


@register_method("higs")
class HistoryGuidedSampling(Guidance):
    """g + w(t) H(g - m) with g = x0_null + scale (x0_class - x0_null); then m <- alpha g + (1 - alpha) m, from m = 0.

    Sadat et al., "HiGS: History-Guided Sampling for Plug-and-Play Enhancement of Diffusion Models", arXiv 2509.22300,
    as third parties give its algorithm; no code of its authors is known to us. H passes high frequencies of the
    discrete cosine transform, by a sigmoid of slope 50 at radius ``cutoff``; w(t) = strength sqrt((t - low) / (high -
    low)) for low < t <= high, else 0. The first step only starts the mean. With ``parallel`` below 1, what of g - m is
    parallel to g is weakened first. ``scale`` 1 leaves the history alone, at one evaluation. The second evaluation of a
    Heun step is compared with the mean that the first one leaves.
    """

    summary = "away from the mean of earlier predictions in high frequencies, and CFG"
    paper = "HiGS: History-Guided Sampling for Plug-and-Play Enhancement of Diffusion Models, arXiv 2509.22300"
    space = "x0"
    fixed_grid = True
    neutral: ClassVar = {"scale": 1.0, "strength": 0.0}

    scale: float = param(1.5, doc="of CFG; 1 is none")
    strength: float = param(2.0, doc="w: of the push away from the history; 0 is none")
    alpha: float = param(0.75, high=1.0, doc="share of the newest prediction in the mean")
    low: float = param(0.4, high=1.0, doc="pushed above this time (0 = data)")
    high: float = param(0.95, high=1.0, doc="pushed up to this time (1 = noise)")
    cutoff: float = param(0.05, doc="frequency at which the filter is at one half; 1 is one sample of the grid")
    parallel: float = param(1.0, high=1.0, doc="share of the part parallel to the prediction that is kept")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """Two; one at scale 1."""
        return (1, 1) if self.scale == 1 else (2, 2)

    def guide(self, step: Step, query: Query) -> Guide:
        """One batched forward of two."""
        if self.scale == 1:
            now = yield query
        else:
            cond, null = yield query, query.null()
            now = extrapolate(null, cond, self.scale)
        mean = (step.state if step.first is None else step.first).get("mean")
        step.state["mean"] = self.alpha * now + (1 - self.alpha) * (0 if mean is None else mean)
        weight = self.weight(step.t_interval)
        if mean is None or weight == 0:
            return now
        return now + weight * high_pass(self._projected(now - mean, now), self.cutoff)

    def weight(self, t: float) -> float:
        """w(t)."""
        if not self.low < t <= self.high:
            return 0.0
        return self.strength * math.sqrt((t - self.low) / (self.high - self.low))

    def _projected(self, change: Tensor, now: Tensor) -> Tensor:
        if self.parallel == 1:
            return change
        along = per_sample_dot(change, now) / per_sample_dot(now, now).clamp_min(1e-12) * now
        return change - (1 - self.parallel) * along
