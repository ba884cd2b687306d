"""Beta-CFG: CFG under the density of a beta distribution, with a normed direction."""

from __future__ import annotations

import math
from typing import ClassVar

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import Guidance, Guide, Query, Step, per_sample_dot, register_method


@register_method("beta_cfg")
class BetaCFG(Guidance):
    """v_null + scale B(p) d / |d|^gamma with d = v_class - v_null, p = 1 - t and B the density of Beta(a, b).

    Malarz et al., "Classifier-free Guidance with Adaptive Scaling", arXiv 2502.10574 (repository gmum/beta-CFG
    @517c790), in velocities and with p in time instead of steps: the program's scale for noise predictions is this one
    times (1 - t)^gamma. The density is 0 at both ends for a, b > 1, so that the path starts and ends unconditionally; a
    = b = 1 and gamma = 0 are CFG. |d| is the norm over a whole sample and grows with the root of the latents' size, so
    with gamma > 0 the scale is one of a network.
    """

    summary = "CFG under a beta density, with a direction divided by a power of its norm"
    paper = "Classifier-free Guidance with Adaptive Scaling, arXiv 2502.10574"
    space = "v"
    neutral: ClassVar = {"scale": 1.0, "a": 1.0, "b": 1.0, "gamma": 0.0}

    scale: float = param(1.5, doc="of the direction under the density; 0 is unconditional")
    a: float = param(2.0, low=1.0, doc="first parameter of the density, at the noise")
    b: float = param(2.0, low=1.0, doc="second parameter, at the data")
    gamma: float = param(1.0, doc="power of the norm that the direction is divided by")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """Two; one where the density is 0."""
        return 1, 2

    def guide(self, step: Step, query: Query) -> Guide:
        """One batched forward of two; the one without a class where the density is 0."""
        weight = self.scale * beta_density(1 - step.t, self.a, self.b)
        if weight == 0:
            return (yield query.null())
        cond, null = yield query, query.null()
        update = cond - null
        return null + weight * update / per_sample_dot(update, update).sqrt().clamp_min(1e-12) ** self.gamma


def beta_density(p: float, a: float, b: float) -> float:
    """The density of Beta(a, b) at p in [0, 1]; a, b >= 1."""
    whole = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b))
    return float(whole * max(p, 0.0) ** (a - 1) * max(1 - p, 0.0) ** (b - 1))
