"""Self-attention guidance: away from the prediction for an input blurred where attention rests."""

from __future__ import annotations

import math
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from guidance_bench.core.parameters import param
from guidance_bench.guidance.filters import gaussian_blur
from guidance_bench.guidance.method import Guidance, Guide, Query, Step, register_method


@register_method("sag")
class SelfAttentionGuidance(Guidance):
    """eps_class(x) + (scale - 1) (eps_class(x) - eps_class(x')), x' = x with the attended part of its data prediction
    blurred.

    x0 = x - t v is blurred where a token receives more attention than the average in block ``layer``, and brought back
    to time t with the same noise: x' = x + (1 - t) mask (blur(x0) - x0). Hong et al., "Improving Sample Quality of
    Diffusion Models Using Self-Attention Guidance", arXiv 2210.00939 (repository KU-CVLAB/Self-Attention-Guidance); s
    = scale - 1 is about 0.2 for class-conditional models. The update is one of noise predictions; written in
    velocities it has a term for x' - x.
    """

    summary = "away from the prediction for an input blurred where attention rests"
    paper = "Improving Sample Quality of Diffusion Models Using Self-Attention Guidance, arXiv 2210.00939"
    space = "v"
    neutral: ClassVar = {"scale": 1.0}

    scale: float = param(1.2, doc="1 is no guidance; 1 + s of the paper")
    sigma: float = param(1.0, low=0.1, doc="of the blur, in places of the latent")
    threshold: float = param(1.0, doc="attention received, over the average, that counts as attended")
    layer: int | None = param(None, low=1, doc="block of the attention map, from 1; none: the middle one")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """Two, the second after the first; one at scale 1 and at t = 1, where the input is noise alone."""
        return (1, 1) if self.scale == 1 else (1, 2)

    def guide(self, step: Step, query: Query) -> Guide:
        """Two forwards, for the second one's input comes of the first."""
        if self.scale == 1 or step.t == 1:
            return (yield query)
        layer = self.layer or (step.depth + 1) // 2
        cond, attention = yield query, query.attention_map(layer)
        x0 = step.x - step.t * cond
        blurred = self._mask(attention, x0) * (gaussian_blur(x0, self.sigma) - x0)  # of x0; x' - x over 1 - t
        degraded = yield query.at(x=step.x + (1 - step.t) * blurred)
        return cond + (self.scale - 1) * (cond - degraded - blurred)

    def _mask(self, attention: Tensor, like: Tensor) -> Tensor:
        """1 where tokens are attended, in the places of the latent (N, 1, H, W)."""
        received = attention.mean(1).sum(1)  # (N, T): over queries; 1 on average
        side = math.isqrt(received.shape[1])
        attended = (received > self.threshold).to(like).view(-1, 1, side, side)
        return F.interpolate(attended, size=like.shape[-2:], mode="nearest")
