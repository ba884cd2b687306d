"""Time-step guidance: away from the prediction for a perturbed time embedding."""

from __future__ import annotations

from typing import ClassVar

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import Guidance, Guide, Query, Step, extrapolate, register_method
from guidance_bench.networks.backbone import Edit


@register_method("tsg")
class TimeStepGuidance(Guidance):
    """v~ + scale (v_class - v~), v~ with the noise ``amount`` t^``power`` n, n standard normal, on the time embedding.

    Sadat et al., "No Training, No Problem: Rethinking Classifier-Free Guidance for Diffusion Models", arXiv
    2407.02687, where ``amount`` counts in standard deviations of the time embedding, one n serves all blocks, and
    amount, power and blocks are tuned for each model; DiT-XL/2 has scale 2.5, amount 2 and power 1. The paper leaves
    the noise out near both ends of time for some models: see :class:`guidance_bench.guidance.composition.Interval`.
    """

    summary = "away from the prediction for a noisy time embedding"
    paper = "No Training, No Problem: Rethinking Classifier-Free Guidance for Diffusion Models, arXiv 2407.02687"
    neutral: ClassVar = {"scale": 1.0}

    scale: float = param(2.5, doc="1 is no guidance")
    amount: float = param(2.0, low=1e-3, doc="s: noise at t = 1, in standard deviations of the time embedding")
    power: float = param(1.0, high=10.0, doc="alpha: how fast the noise fades toward data")
    layers: tuple[int, ...] | None = param(None, low=1, doc="blocks, from 1; none: all of them and the head")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """Two; one at scale 1 and at t = 0, where there is no noise left."""
        return (1, 1) if self.scale == 1 else (1, 2)

    def guide(self, step: Step, query: Query) -> Guide:
        """One batched forward of two."""
        amount = self.amount * max(step.t, 0.0) ** self.power  # an adaptive solver may end a rounding error below 0
        if self.scale == 1 or amount == 0:
            return (yield query)
        noise = Edit("time_noise", self.layers or (), amount, step.random)
        cond, perturbed = yield query, query.edited(noise)
        return extrapolate(perturbed, cond, self.scale)
