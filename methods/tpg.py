"""Token-perturbation guidance: away from the prediction with shuffled tokens."""

from __future__ import annotations

import torch
from torch import Tensor

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import Step, register_method
from guidance_bench.guidance.weak_branch import AwayFromEdit
from guidance_bench.networks.backbone import Edit
from guidance_bench.networks.own_edits import register_edit


@register_edit("stream_shuffle", "tokens")
def shuffle_stream(edit: Edit, tokens: Tensor) -> Tensor:
    """Tokens (N, T, D) in a new order for good, the same for all samples."""
    assert edit.random is not None
    purpose = f"stream_shuffle {edit.layers}"
    return tokens[:, torch.from_numpy(edit.random.shared(purpose).permutation(tokens.shape[1])).to(tokens.device)]


@register_method("tpg")
class TokenPerturbationGuidance(AwayFromEdit):
    """v_s + scale (v_class - v_s), v_s with the tokens of some blocks in a random order, drawn anew for each block and
    step.

    Rajabi et al., "Token Perturbation Guidance for Diffusion Models", arXiv 2506.10036 (repository
    TaatiTeam/Token-Perturbation-Guidance), where s = scale - 1 is 3. That program shuffles the residual stream of
    a U-Net's transformers and does not restore it, in one order for the batch: ``form`` "stream". In a transformer
    without outer connections that leaves no order at the end, so by default ("read") the method is adapted: the
    residual stream keeps its order, a block adds what it makes of shuffled tokens, and each sample has its own order.
    """

    summary = "away from the prediction with shuffled tokens"
    paper = "Token Perturbation Guidance for Diffusion Models, arXiv 2506.10036"

    scale: float = param(1.5, doc="1 is no guidance; 1 + s of the paper")
    layers: tuple[int, ...] | None = param(None, low=1, doc="blocks, from 1; none: the middle third")
    form: str = param(
        "read", choices=("read", "stream"), quiet=True, doc="what is shuffled: what a block reads, or all"
    )

    def edit(self, layers: tuple[int, ...], step: Step) -> Edit:
        """Tokens in another order, drawn anew at each step."""
        return Edit("token_shuffle" if self.form == "read" else "stream_shuffle", layers, random=step.random)
