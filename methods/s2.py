"""S2-Guidance: CFG, and away from a sub-network drawn anew at each step."""

from __future__ import annotations

from typing import ClassVar

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import Guidance, Guide, Query, Step, extrapolate, register_method
from guidance_bench.networks.backbone import Edit


@register_method("s2")
class StochasticSelfGuidance(Guidance):
    """v_null + scale (v_class - v_null) + strength (v_class - v_sub); v_sub leaves out a random share of the blocks.

    "S2-Guidance: Stochastic Self-Guidance for Training-Free Enhancement of Diffusion Models", arXiv 2508.12880
    (repository AMAP-ML/S2-Guidance): about a tenth of the blocks, never the first, in the middle 80 % of time. The
    blocks are drawn for each step of a run, alike for all samples, so that a batch can leave them out together.
    """

    summary = "CFG and a push away from a randomly thinned network"
    paper = "S2-Guidance: Stochastic Self-Guidance for Training-Free Enhancement of Diffusion Models, arXiv 2508.12880"
    neutral: ClassVar = {"scale": 1.0, "strength": 0.0}

    scale: float = param(1.5, doc="of CFG; 1 is none")
    strength: float = param(0.25, doc="omega: push away from the sub-network; 0 is none")
    share: float = param(0.1, low=0.01, high=0.9, doc="of the blocks that is left out, at least one")
    low: float = param(0.1, high=1.0, doc="sub-network from this time (0 = data)")
    high: float = param(0.9, high=1.0, doc="sub-network up to this time (1 = noise)")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """One or, with CFG, two; in the middle of time the blocks that are kept besides."""
        least = 1 if self.scale == 1 else 2
        return least, least + (1 - self._count(depth) / depth if self.strength else 0)

    def guide(self, step: Step, query: Query) -> Guide:
        """One batched forward of up to three."""
        null_too = self.scale != 1
        thin = self.strength != 0 and self.low <= step.t_interval <= self.high
        sub = query.edited(Edit("skip_layers", self._blocks(step))) if thin else query
        cond, *others = yield (query, *([query.null()] * null_too), *([sub] * thin))
        guided = extrapolate(others[0], cond, self.scale) if null_too else cond
        return guided + self.strength * (cond - others[-1]) if thin else guided

    def _count(self, depth: int) -> int:
        return max(1, round(self.share * depth)) if depth > 1 else 1

    def _blocks(self, step: Step) -> tuple[int, ...]:
        if step.depth == 1:
            return (1,)
        drawn = step.random.shared("s2 blocks").permutation(step.depth - 1)[: self._count(step.depth)]
        return tuple(sorted(int(block) + 2 for block in drawn))
