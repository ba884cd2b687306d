"""REG: CFG whose direction is weighed, element by element, by how the data prediction follows the latents."""

from __future__ import annotations

from typing import ClassVar

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import Guidance, Guide, Query, Step, register_method


@register_method("reg")
class RectifiedGradientGuidance(Guidance):
    """v_class + (scale - 1) (1 - t G) (v_class - v_null), G the gradient of the sum of eps_class with respect to x.

    Gao et al., "REG: Rectified Gradient Guidance for Conditional Diffusion Models", arXiv 2501.18865 (repository
    zhengqigao/REG @3ab2456): eps_class + (w - 1) (1 - sqrt(1 - abar) G) (eps_class - eps_null) in noise predictions. t
    G is the same in our interpolant, whose latents are those of the paper times a number. Since eps = x + (1 - t) v, 1
    - t G is (1 - t) (1 - t g) with g the gradient of the sum of v_class: nothing is guided at t = 1. One backward pass
    a step.
    """

    summary = "CFG weighed by how the data prediction follows the latents; a backward pass"
    paper = "REG: Rectified Gradient Guidance for Conditional Diffusion Models, arXiv 2501.18865"
    space = "v"
    neutral: ClassVar = {"scale": 1.0}

    scale: float = param(1.5, doc="1 is no guidance")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """Two and a backward pass; one at scale 1."""
        return (1, 1) if self.scale == 1 else (2, 2)

    def guide(self, step: Step, query: Query) -> Guide:
        """Two forwards, of which one is differentiated."""
        if self.scale == 1:
            return (yield query)
        cond, null, slope = yield query, query.null(), query.grad(lambda velocity: velocity.sum())
        weight = (1 - step.t) * (1 - step.t * slope)
        return cond + (self.scale - 1) * weight * (cond - null)
