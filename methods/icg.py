"""Independent condition guidance: a class drawn at random takes the place of no class."""

from __future__ import annotations

import math
from typing import ClassVar

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import Guidance, Guide, Query, Step, extrapolate, register_method
from guidance_bench.networks.backbone import Edit


@register_method("icg")
class IndependentConditionGuidance(Guidance):
    """v(y') + scale (v_class - v(y')), y' independent of the sample and drawn anew at each step.

    Sadat et al., "No Training, No Problem: Rethinking Classifier-Free Guidance for Diffusion Models", arXiv
    2407.02687. It needs no null label. y' is a random class, or ("noise") a Gaussian with the mean and spread of the
    class embedding in its place.
    """

    summary = "CFG against a random condition; needs no null label"
    paper = "No Training, No Problem: Rethinking Classifier-Free Guidance for Diffusion Models, arXiv 2407.02687"
    neutral: ClassVar = {"scale": 1.0}

    scale: float = param(1.5, doc="1 is no guidance")
    condition: str = param("class", choices=("class", "noise"), doc="a random class, or noise for its embedding")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """Two; one at scale 1."""
        return (1, 1) if self.scale == 1 else (2, 2)

    def guide(self, step: Step, query: Query) -> Guide:
        """One batched forward of two."""
        if self.scale == 1:
            return (yield query)
        if self.condition == "class":
            other = query.with_label(step.random.integers("icg class", step.num_classes))
        else:
            other = query.edited(Edit("class_noise", amount=math.inf, random=step.random))
        cond, independent = yield query, other
        return extrapolate(independent, cond, self.scale)
