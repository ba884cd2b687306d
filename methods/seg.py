"""Smoothed-energy guidance: away from the prediction with blurred queries."""

from __future__ import annotations

import math

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import Step, register_method
from guidance_bench.guidance.weak_branch import AwayFromEdit
from guidance_bench.networks.backbone import Edit


@register_method("seg")
class SmoothedEnergyGuidance(AwayFromEdit):
    """v_b + scale (v_class - v_b), v_b with the queries of some blocks blurred by a Gaussian over the grid of tokens.

    Hong, "Smoothed Energy Guidance: Guiding Diffusion Models with Reduced Energy Curvature of Attention", arXiv
    2408.00760 (repository SusungHong/SEG-SDXL), where s = scale - 1 is fixed at 3 and sigma varied up to infinity, the
    mean query: there it is the program's. A finite sigma differs at the border, where the program repeats with zeros
    and cuts its kernel while here the weights are renormalised; and since sigma counts tokens, the paper's values for
    the larger grids of SDXL are not comparable.
    """

    summary = "away from the prediction with blurred attention queries"
    paper = (
        "Smoothed Energy Guidance: Guiding Diffusion Models with Reduced Energy Curvature of Attention, "
        "arXiv 2408.00760"
    )

    scale: float = param(1.5, doc="1 is no guidance; 1 + s of the paper")
    sigma: float | None = param(None, low=0.1, doc="of the blur, in tokens; none: the mean query")
    layers: tuple[int, ...] | None = param(None, low=1, doc="blocks, from 1; none: the middle third")

    def edit(self, layers: tuple[int, ...], step: Step) -> Edit:
        """Queries blurred over the grid of tokens."""
        return Edit("query_blur", layers, math.inf if self.sigma is None else self.sigma)
