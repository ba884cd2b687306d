"""Self-swap guidance: away from the prediction with the most unlike tokens and channels swapped."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import Step, register_method
from guidance_bench.guidance.weak_branch import AwayFromEdit
from guidance_bench.networks.backbone import Edit
from guidance_bench.networks.own_edits import register_edit


@register_edit("self_swap", "tokens")
def self_swap(edit: Edit, tokens: Tensor) -> Tensor:
    """Tokens (N, T, D) with unlike tokens swapped, then unlike channels; ``amount`` pairs for each of them."""
    tokens = swapped(tokens, edit.amount)
    return swapped(tokens.transpose(1, 2), edit.amount).transpose(1, 2)


def swapped(rows: Tensor, ratio: float) -> Tensor:
    """Rows (N, R, D) with the ``ratio`` R pairs of least cosine swapped, at least one pair.

    A row of several pairs goes where the least unlike of them sends it, as when all are written one after the other.
    """
    count = rows.shape[1]
    unit = F.normalize(rows.float(), dim=2)
    first, second = torch.triu_indices(count, count, offset=1, device=rows.device)
    pairs = max(1, int(ratio * count))
    chosen = (unit @ unit.transpose(1, 2))[:, first, second].topk(pairs, largest=False).indices
    i, j = first[chosen], second[chosen]
    places, sources = torch.cat([i, j], 1), torch.cat([j, i], 1)
    writes = torch.arange(2 * pairs, device=rows.device).expand_as(places)
    last = torch.full(rows.shape[:2], -1, device=rows.device).scatter_reduce(1, places, writes, "amax")
    stays = torch.arange(count, device=rows.device).expand_as(last)
    source = torch.where(last < 0, stays, sources.gather(1, last.clamp_min(0)))
    return rows.gather(1, source[..., None].expand_as(rows))


@register_method("ssg")
class SelfSwapGuidance(AwayFromEdit):
    """v_s + scale (v_class - v_s), v_s with a share of unlike tokens, then of unlike channels, swapped before some
    blocks.

    "Guiding a Diffusion Model by Swapping Its Tokens", arXiv 2604.08048; repository VISION-SJTU/SSG @0958615, where in
    blocks of a U-Net a tenth as many pairs as there are tokens (channels) are swapped, those of least cosine, for good,
    and s = scale - 1 is 3.
    """

    summary = "away from the prediction with the most unlike tokens and channels swapped"
    paper = "Guiding a Diffusion Model by Swapping Its Tokens, arXiv 2604.08048"

    scale: float = param(1.5, doc="1 is no guidance; 1 + s of the paper")
    ratio: float = param(0.1, low=0.001, high=0.5, doc="swapped pairs over tokens, and over channels; at least one")
    layers: tuple[int, ...] | None = param(None, low=1, doc="blocks, from 1; none: the middle third")

    def edit(self, layers: tuple[int, ...], step: Step) -> Edit:
        """Unlike tokens, then channels, swapped."""
        return Edit("self_swap", layers, self.ratio)
