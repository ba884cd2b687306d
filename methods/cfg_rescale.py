"""CFG, rescaled to the spread of the conditional prediction."""

from __future__ import annotations

from torch import Tensor

from guidance_bench.core.parameters import param
from guidance_bench.guidance.class_and_null import ClassAndNull
from guidance_bench.guidance.method import Step, extrapolate, register_method


@register_method("cfg_rescale")
class RescaledCFG(ClassAndNull):
    """rescale v r + (1 - rescale) v, v = v_null + scale (v_class - v_null) and r = std(v_class) / std(v), for each
    sample.

    Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed", arXiv 2305.08891, section 3.4, with
    rescale 0.7. Applied to velocities, as there to the outputs of a velocity-predicting network.
    """

    summary = "CFG brought back to the spread of the conditional velocity"
    paper = "Common Diffusion Noise Schedules and Sample Steps are Flawed, arXiv 2305.08891"
    space = "v"

    scale: float = param(1.5, doc="1 is no guidance")
    rescale: float = param(0.7, high=1.0, doc="phi: share of the rescaled velocity; 0 is CFG")

    def combine(self, step: Step, cond: Tensor, null: Tensor) -> Tensor:
        """CFG's velocity, part of it rescaled."""
        guided = extrapolate(null, cond, self.scale)
        spread = [v.std(dim=(1, 2, 3), keepdim=True) for v in (cond, guided)]
        return guided * (1 - self.rescale + self.rescale * spread[0] / spread[1].clamp_min(1e-12))
