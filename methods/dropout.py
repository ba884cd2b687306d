"""Guidance by dropout: away from the same network with a part of what its blocks make dropped."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from guidance_bench.core.parameters import param
from guidance_bench.guidance.method import Step, register_method
from guidance_bench.guidance.weak_branch import AwayFromEdit
from guidance_bench.networks.backbone import Edit
from guidance_bench.networks.own_edits import register_edit


@register_edit("dropout", "block")
def dropped(edit: Edit, block: Callable[[Tensor], Tensor], tokens: Tensor) -> Tensor:
    """The tokens (N, T, D) after a block, a share ``amount`` of their numbers 0, the others divided by what is kept."""
    assert edit.random is not None
    made = block(tokens)
    drawn = edit.random.uniform(f"dropout {edit.layers}", made.shape[1:])
    return made * (drawn >= edit.amount).to(made) / (1 - edit.amount)


@register_method("dropout")
class DropoutGuidance(AwayFromEdit):
    """v_d + scale (v_class - v_d), v_d with dropout after some blocks, drawn anew for each block, sample and step.

    The weak branch of Gu and Hou, "In-situ Autoguidance: Eliciting Self-Correction in Diffusion Models", arXiv
    2510.17136, in the form of diffusers 0.42.1 (AutoGuidance with ``dropout``), which drops of a block's output; which
    layers and what rate the paper drops we could not read.
    """

    summary = "away from the same network with dropout"
    paper = "In-situ Autoguidance: Eliciting Self-Correction in Diffusion Models, arXiv 2510.17136"

    scale: float = param(1.5, doc="1 is no guidance")
    rate: float = param(0.1, low=0.01, high=0.9, doc="share of the numbers that is dropped")
    layers: tuple[int, ...] | None = param(None, low=1, doc="blocks, from 1; none: the middle third")

    def edit(self, layers: tuple[int, ...], step: Step) -> Edit:
        """Numbers dropped at random, drawn anew at each step."""
        return Edit("dropout", layers, self.rate, step.random)
