"""Power-law guidance: CFG whose strength grows with the distance between the two predictions."""

from __future__ import annotations

from torch import Tensor

from guidance_bench.core.parameters import param
from guidance_bench.guidance.class_and_null import ClassAndNull
from guidance_bench.guidance.method import Step, per_sample_dot, register_method


@register_method("power_law")
class PowerLawGuidance(ClassAndNull):
    """v_class + (scale - 1) |d|^alpha d with d = v_class - v_null, |d| its norm over a whole sample.

    The power-law form of Pavasovic et al., arXiv 2502.07849, as third parties give it; ``alpha`` 0 is CFG. The paper
    measures |d| in scores; here it is that of velocities, which is finite at both ends of time. The norm grows with the
    root of the latents' size, so the scale is one of a network.
    """

    summary = "CFG that is stronger where both predictions differ more"
    paper = "Classifier-Free Guidance: From High-Dimensional Analysis to Generalized Guidance Forms, arXiv 2502.07849"
    space = "v"

    scale: float = param(1.05, doc="1 is no guidance")
    alpha: float = param(0.9, doc="power of the norm; 0 is CFG")

    def combine(self, step: Step, cond: Tensor, null: Tensor) -> Tensor:
        """CFG, its scale times a power of the update's norm."""
        update = cond - null
        return cond + (self.scale - 1) * per_sample_dot(update, update).sqrt() ** self.alpha * update
