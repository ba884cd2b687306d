"""CFG-MP: before CFG, the latents are moved to where both predictions agree better."""

from __future__ import annotations

from typing import ClassVar

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import Guidance, Guide, Query, Step, extrapolate, register_method


@register_method("cfg_mp")
class ManifoldProjectedCFG(Guidance):
    """CFG from moved latents: half = x + (h / 2) v_null(x), x <- half - (h / 2) v_class(half), ``moves`` times.

    h = t - t', the length of the step. "CFG-MP", arXiv 2601.21892 (repository LeonSuZhengYi/CFG-MP, its fixed-point
    form without Anderson acceleration), whose DiT demo moves twice while its data time is below 0.6. The moves end at
    t = ``low``. Under Heun the move of the first evaluation holds for the second.
    """

    summary = "CFG from latents moved to where both predictions agree better"
    paper = "Improving Classifier-Free Guidance of Flow Matching via Manifold Projection, arXiv 2601.21892"
    space = "v"
    fixed_grid = True
    neutral: ClassVar = {"scale": 1.0, "moves": 0}

    scale: float = param(1.5, doc="of CFG; 1 is none")
    moves: int = param(2, doc="moves a step; 0 is CFG")
    low: float = param(0.4, high=1.0, doc="moved from this time on (1 = noise)")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """Two or, at scale 1, one; two more for every move."""
        least = 1 if self.scale == 1 else 2
        return least, least + 2 * self.moves

    def guide(self, step: Step, query: Query) -> Guide:
        """Forwards one after the other for the moves, then one batched forward of two."""
        moved = 0.0 if step.first is None else step.first["moved"]
        if step.first is None and step.t_interval >= self.low and self.moves:
            x, half_step = step.x, (step.t - step.t_next) / 2
            for _ in range(self.moves):
                half = x + half_step * (yield query.null().at(x=x))
                x = half - half_step * (yield query.at(x=half))
            query, moved = query.at(x=x), step.starting_from(x)
        step.state["moved"] = moved
        if self.scale == 1:
            return (yield query) + moved
        cond, null = yield query, query.null()
        return extrapolate(null, cond, self.scale) + moved
