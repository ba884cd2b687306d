"""Entropy-rectifying guidance: away from the prediction with a flatter attention."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import Guidance, Guide, Query, Step, extrapolate, middle_blocks, register_method
from guidance_bench.networks.backbone import Edit
from guidance_bench.networks.own_edits import register_edit


@register_edit("attention_temperature", "attention")
def tempered(edit: Edit, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention whose logits are multiplied by ``amount``: 1 is what it was, 0 the mean of the values."""
    return F.scaled_dot_product_attention(edit.amount * q, k, v)


@register_method("erg")
class EntropyRectifyingGuidance(Guidance):
    """v_e + scale (v_class - v_e), v_e with softmax(``tau`` q k) in some blocks, for low <= t <= high.

    The image part (I-ERG) of Ifriqi et al., "Entropy Rectifying Guidance for Diffusion and Flow Models", arXiv
    2504.13987, in its default of one step of size one. Its text part weakens a text encoder, which has no counterpart
    here: v_e keeps the class or, with ``classless``, has none. After a third-party description of the paper, for which
    no code is published; its tau, blocks and first time are not known to us. ACE-Step (ace-step/ACE-Step @91fdfb9)
    multiplies the queries of five blocks by 0.01, beside a weaker condition.
    """

    summary = "away from the prediction with a flatter attention"
    paper = "Entropy Rectifying Guidance for Diffusion and Flow Models, arXiv 2504.13987"
    neutral: ClassVar = {"scale": 1.0}

    scale: float = param(1.5, doc="1 is no guidance")
    tau: float = param(0.01, high=10.0, doc="what the logits are multiplied by; 1 changes nothing")
    layers: tuple[int, ...] | None = param(None, low=1, doc="blocks, from 1; none: the middle third")
    classless: bool = param(False, doc="the weaker prediction has no class")
    low: float = param(0.0, high=1.0, doc="guided from this time (0 = data)")
    high: float = param(1.0, high=1.0, doc="guided up to this time (1 = noise)")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """Two; one at scale 1 and outside the interval."""
        return (1, 1) if self.scale == 1 else (1, 2)

    def guide(self, step: Step, query: Query) -> Guide:
        """One batched forward of two."""
        if self.scale == 1 or not self.low <= step.t_interval <= self.high:
            return (yield query)
        edit = Edit("attention_temperature", middle_blocks(step.depth, self.layers), self.tau)
        cond, weak = yield query, (query.null() if self.classless else query).edited(edit)
        return extrapolate(weak, cond, self.scale)
