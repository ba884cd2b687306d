"""Token-perturbation guidance: away from the prediction with shuffled tokens."""

from __future__ import annotations

from typing import ClassVar

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import Guidance, Guide, Query, Step, extrapolate, middle_blocks, register_method
from guidance_bench.networks.backbone import Edit


@register_method("tpg")
class TokenPerturbationGuidance(Guidance):
    """v_s + scale (v_class - v_s), v_s with the tokens of some blocks in a random order, drawn anew for each block and
    step.

    Rajabi et al., "Token Perturbation Guidance for Diffusion Models", arXiv 2506.10036 (repository
    TaatiTeam/Token-Perturbation-Guidance), where s = scale - 1 is 3. The original shuffles inside a U-Net, whose outer
    residual connections keep the order; here the residual stream keeps it and a block adds what it makes of the
    shuffled tokens. Each sample has an order of its own.
    """

    summary = "away from the prediction with shuffled tokens"
    paper = "Token Perturbation Guidance for Diffusion Models, arXiv 2506.10036"
    neutral: ClassVar = {"scale": 1.0}

    scale: float = param(1.5, doc="1 is no guidance; 1 + s of the paper")
    layers: tuple[int, ...] | None = param(None, low=1, doc="blocks, from 1; none: the middle third")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """Two; one at scale 1."""
        return (1, 1) if self.scale == 1 else (2, 2)

    def guide(self, step: Step, query: Query) -> Guide:
        """One batched forward of two."""
        if self.scale == 1:
            return (yield query)
        cond, weak = yield (
            query,
            query.edited(Edit("token_shuffle", middle_blocks(step.depth, self.layers), random=step.random)),
        )
        return extrapolate(weak, cond, self.scale)
