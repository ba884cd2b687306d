"""Segmented guidance: CFG early, a weaker network's direction late."""

from __future__ import annotations

from typing import ClassVar

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import (
    Guidance,
    Guide,
    Layers,
    Query,
    Step,
    chosen_blocks,
    extrapolate,
    register_method,
)
from guidance_bench.networks.backbone import Edit


@register_method("sgg")
class SegmentedGuidance(Guidance):
    """CFG for t > tau; v_skip + weak_scale (v_class - v_skip) for t <= tau, v_skip with some blocks left out.

    "SGG", arXiv 2603.20584 (repository 851695e35/SGG), its training-free form with skip-layer guidance in the second
    segment, away from one block at a quarter of the depth (see ``slg``).
    """

    summary = "CFG while there is noise, skip-layer guidance near the data"
    paper = "Improving Diffusion Generalization with Weak-to-Strong Segmented Guidance, arXiv 2603.20584"
    neutral: ClassVar = {"scale": 1.0, "weak_scale": 1.0}

    scale: float = param(1.5, doc="of CFG, for t > tau; 1 is none")
    weak_scale: float = param(1.5, doc="of skip-layer guidance, for t <= tau; 1 is none")
    tau: float = param(0.2, high=1.0, doc="where the segments meet")
    layers: Layers = param(0.25, doc="blocks left out, from 1, or a share of the depth; none: the middle third")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """Two under CFG, one and the blocks that are kept after it; one where the scale is 1."""
        late = 2 - len(set(chosen_blocks(depth, self.layers))) / depth
        costs = (2 if self.scale != 1 else 1, late if self.weak_scale != 1 else 1)
        return min(costs), max(costs)

    def guide(self, step: Step, query: Query) -> Guide:
        """One batched forward of two."""
        early = step.t_interval > self.tau
        scale = self.scale if early else self.weak_scale
        if scale == 1:
            return (yield query)
        skip = query.edited(Edit("skip_layers", chosen_blocks(step.depth, self.layers)))
        cond, weak = yield query, query.null() if early else skip
        return extrapolate(weak, cond, scale)
