"""Perturbed-attention guidance: away from the prediction with identity attention."""

from __future__ import annotations

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import Step, register_method
from guidance_bench.guidance.weak_branch import AwayFromEdit
from guidance_bench.networks.backbone import Edit


@register_method("pag")
class PerturbedAttentionGuidance(AwayFromEdit):
    """v_p + scale (v_class - v_p), v_p with the attention maps of some blocks replaced by the identity.

    Ahn et al., "Self-Rectifying Diffusion Sampling with Perturbed-Attention Guidance", arXiv 2403.17377 (repository
    cvlab-kaist/PAG), where s = scale - 1 is 1 to 3. Without class and with CFG besides: see
    ``guidance_bench.guidance.composition``.
    """

    summary = "away from the prediction with identity attention"
    paper = "Self-Rectifying Diffusion Sampling with Perturbed-Attention Guidance, arXiv 2403.17377"

    scale: float = param(1.5, doc="1 is no guidance; 1 + s of the paper")
    layers: tuple[int, ...] | None = param(None, low=1, doc="blocks, from 1; none: the middle third")

    def edit(self, layers: tuple[int, ...], step: Step) -> Edit:
        """Attention that leaves every token to itself."""
        return Edit("identity_attention", layers)
