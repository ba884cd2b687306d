"""CFG++: the guided prediction of the data, the unguided one of the noise."""

from __future__ import annotations

from typing import ClassVar

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import Guidance, Guide, Query, Step, extrapolate, register_method


@register_method("cfgpp")
class CFGPlusPlus(Guidance):
    """x' = (1 - t') x0(v_null + scale (v_class - v_null)) + t' eps(v_null), for a step from t to t'.

    Chung et al., "CFG++: Manifold-constrained Classifier Free Guidance", arXiv 2406.08070, in our interpolant
    (repository CFGpp-diffusion/CFGpp). As the velocity of that step it is CFG with the scale w = scale t (1 - t') / (t
    - t'), so it depends on the grid: small at both ends and largest in the middle, where w is about scale / 4 times
    the number of steps. Under the SDE, whose step moves by h (2 - t) v with h = t - t', the divisor is h (2 - t).
    Both stages of a Heun step use the step's w. ``scale`` 0 is the unconditional model, so the neutral setting is an
    empty interval.
    """

    summary = "guided data prediction, renoised with the unconditional noise prediction"
    paper = "CFG++: Manifold-constrained Classifier Free Guidance for Diffusion Models, arXiv 2406.08070"
    fixed_grid = True
    versions: ClassVar = {"euler_maruyama": 2}  # displaced (2 - t) times too far
    neutral: ClassVar = {"low": 1.0, "high": 0.0}

    scale: float = param(0.6, high=1.0, doc="lambda; 0 is the unconditional model")
    low: float = param(0.0, high=1.0, doc="guided from this time (0 = data)")
    high: float = param(1.0, high=1.0, doc="guided up to this time (1 = noise)")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """One outside the interval, two inside."""
        return 1, 2

    def guide(self, step: Step, query: Query) -> Guide:
        """One batched forward of two."""
        if not self.low <= step.t_interval <= self.high:
            return (yield query)
        cond, null = yield query, query.null()
        assert step.transition is not None  # the sampler refuses adaptive solvers
        moved = -step.transition.velocity_scale
        return extrapolate(null, cond, self.scale * step.t_start * (1 - step.t_next) / moved)
