"""Skip-layer guidance: CFG and a push away from the prediction with blocks left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor

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
from guidance_bench.networks.own_edits import register_edit

#: The edit that leaves out a part of a block.
EDITS = {"block": "skip_layers", "attention": "skip_attention", "mlp": "skip_mlp"}


@register_edit("skip_attention", "attention_branch")
@register_edit("skip_mlp", "mlp_branch")
def passed_on(edit: Edit, branch: Callable[[Tensor], Tensor], tokens: Tensor) -> Tensor:
    """The branch left out: what it is given (N, T, D) goes on to its gate."""
    return tokens


@register_method("slg")
class SkipLayerGuidance(Guidance):
    """v_null + scale (v_class - v_null) + (skip_scale - 1) (v_class - v_skip), v_skip without some blocks, for low <= t
    <= high.

    The guidance of Stable Diffusion 3.5 (repository Stability-AI/sd3.5, with s = skip_scale - 1 of 2.5 to 2.8, blocks 8
    to 10 of 24, t from .92 to 1); for video Hyung et al., "Spatiotemporal Skip Guidance", arXiv 2411.18664. Those
    settings are of large text-to-image networks. For SiT-XL/2 one block at a quarter of the depth and t <= 0.8 are
    reported to come near CFG's FID, blocks in the later half to be worse than no guidance: the defaults. ``scale`` 1
    leaves the skip guidance alone, at less than two evaluations. With ``part`` only the attention or the MLP of a block
    is left out, in the form of diffusers 0.42.1 (LayerSkipConfig): its normed input goes on to its gate. That is
    counted as a whole evaluation.
    """

    summary = "away from the prediction with blocks left out, and CFG"
    paper = "Spatiotemporal Skip Guidance for Enhanced Video Diffusion Sampling, arXiv 2411.18664; Stable Diffusion 3.5"
    neutral: ClassVar = {"scale": 1.0, "skip_scale": 1.0}

    scale: float = param(1.0, doc="of CFG; 1 is none")
    skip_scale: float = param(1.5, doc="1 is no skip guidance")
    layers: Layers = param(0.25, doc="blocks left out, from 1, or a share of the depth; none: the middle third")
    low: float = param(0.0, high=1.0, doc="skip guidance from this time (0 = data)")
    high: float = param(0.8, high=1.0, doc="skip guidance up to this time (1 = noise)")
    part: str = param("block", choices=tuple(EDITS), quiet=True, doc="what is left out of the blocks")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """One or, with CFG, two; inside the interval the blocks that are kept besides."""
        least = 1 if self.scale == 1 else 2
        left_out = len(set(chosen_blocks(depth, self.layers))) if self.part == "block" else 0
        kept = 1 - left_out / depth
        return least, least + (0 if self.skip_scale == 1 else kept)

    def guide(self, step: Step, query: Query) -> Guide:
        """One batched forward of up to three."""
        skip = query.edited(Edit(EDITS[self.part], chosen_blocks(step.depth, self.layers)))
        null_too, skip_too = self.scale != 1, self.skip_scale != 1 and self.low <= step.t_interval <= self.high
        cond, *others = yield (query, *([query.null()] * null_too), *([skip] * skip_too))
        guided = extrapolate(others[0], cond, self.scale) if null_too else cond
        return guided + (self.skip_scale - 1) * (cond - others[-1]) if skip_too else guided
