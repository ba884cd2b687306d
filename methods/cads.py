"""CADS: CFG whose condition starts as noise and anneals to the class."""

from __future__ import annotations

import math
from typing import ClassVar

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import Guidance, Guide, Query, Step, extrapolate, register_method
from guidance_bench.networks.backbone import Edit


@register_method("cads")
class ConditionAnnealedSampling(Guidance):
    """v_null + scale (v(y~) - v_null), y~ = sqrt(g) y + noise sqrt(1 - g) n, brought back to the mean and spread of y.

    g = 1 for t <= tau1, 0 for t >= tau2 and linear between; n is drawn anew at each step. Sadat et al., "CADS:
    Unleashing the Diversity of Diffusion Models through Condition-Annealed Sampling", arXiv 2310.17347, with psi = 1
    (full rescaling). The published settings for ImageNet-256 (tau1 0.5, tau2 0.9, noise 0.15) count the noise in
    absolute units; here it counts in standard deviations of the class embedding, so that a setting carries over
    between networks. The paper's text noises the class; public programs noise the null embedding too: ``both``.
    """

    summary = "CFG with a noisy class early on, for diversity at high scales"
    paper = "CADS: Unleashing the Diversity of Diffusion Models through Condition-Annealed Sampling, arXiv 2310.17347"
    neutral: ClassVar = {"scale": 1.0, "noise": 0.0}

    scale: float = param(1.5, doc="scale of CFG; 1 is none")
    noise: float = param(0.5, doc="s: noise in standard deviations of the class embedding; 0 is CFG")
    tau1: float = param(0.5, high=1.0, doc="no noise up to this time")
    tau2: float = param(0.9, high=1.0, doc="nothing but noise from this time on")
    both: bool = param(False, quiet=True, doc="the null embedding gets its noise too, as in public programs")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """Two; one at scale 1."""
        return (1, 1) if self.scale == 1 else (2, 2)

    def guide(self, step: Step, query: Query) -> Guide:
        """One batched forward of two, of which one half has the noisy class."""
        amount = self.amount(step.t)
        noisy = query.edited(Edit("class_noise", amount=amount, random=step.random)) if amount else query
        if self.scale == 1:
            return (yield noisy)
        null = query.null()
        if self.both and amount:
            null = null.edited(Edit("class_noise", amount=amount, random=step.random.named("null")))
        cond, away = yield noisy, null
        return extrapolate(away, cond, self.scale)

    def amount(self, t: float) -> float:
        """Noise against class in y~, which the rescaling makes the only thing that matters."""
        if self.noise == 0 or t <= self.tau1:
            return 0.0
        if t >= self.tau2:
            return math.inf
        kept = (self.tau2 - t) / (self.tau2 - self.tau1)
        return self.noise * math.sqrt((1 - kept) / kept)
