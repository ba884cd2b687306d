"""SiT and SiT with Internal Guidance's head, as the official programs train them on latents of 256 x 256 images.

Both use AdamW at 1e-4 without decay, batch 256, EMA .9999, label drop .1 and uniform t (willisma/SiT ``train.py``;
CVL-UESTC/Internal-Guidance, SiT half, whose auxiliary loss weighs .5). 400,000 steps are 80 epochs of ImageNet.

SiT mirrors half of the images (``RandomHorizontalFlip``) and does not clip. Internal Guidance reads moments that were
encoded once and never mirrored, in the layout of REPA and SRA (``CustomDataset``), clips gradients to norm 1, and
trains in fp16: ``recipe.precision=fp16`` on a CUDA GPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...core.parameters import param
from ..recipe import TrainingRecipe, register_recipe

SIT = "Ma et al., arXiv 2401.08740"
IG = "Zhou et al., arXiv 2512.24176"


@register_recipe("sit_s_2")
class SiTS2(TrainingRecipe):
    """SiT-S/2."""

    summary: ClassVar[str] = "SiT-S/2, 33M parameters"
    paper: ClassVar[str] = SIT

    flip: bool = param(True, doc="mirror half of the images, drawn anew each epoch")
    learn_sigma: bool = param(True, doc="heads have twice the channels, of which half is not used")


@register_recipe("sit_b_2")
class SiTB2(SiTS2):
    """SiT-B/2."""

    summary: ClassVar[str] = "SiT-B/2, 131M parameters"

    hidden_size: int = param(768, low=4, doc="width of a token")
    num_heads: int = param(12, low=1, doc="attention heads")


@register_recipe("sit_l_2")
class SiTL2(SiTS2):
    """SiT-L/2."""

    summary: ClassVar[str] = "SiT-L/2, 458M parameters"

    hidden_size: int = param(1024, low=4, doc="width of a token")
    depth: int = param(24, low=1, doc="blocks")
    num_heads: int = param(16, low=1, doc="attention heads")


@register_recipe("sit_xl_2")
class SiTXL2(SiTL2):
    """SiT-XL/2."""

    summary: ClassVar[str] = "SiT-XL/2, 675M parameters"

    hidden_size: int = param(1152, low=4, doc="width of a token")
    depth: int = param(28, low=1, doc="blocks")


@dataclass
class InternalHead:
    """What Internal Guidance's program does otherwise than SiT's, beside the head; a mixin."""

    paper: ClassVar[str] = IG

    flip: bool = param(False, doc="mirror half of the images, drawn anew each epoch")
    clip: float = param(1.0, doc="largest norm of the gradient; 0: as it is")
    learn_sigma: bool = param(False, doc="heads have twice the channels, of which half is not used")


@register_recipe("sit_s_2_ig")
class SiTS2IG(InternalHead, SiTS2):
    """SiT-S/2 with a head after block 4; the size is not in the paper."""

    summary: ClassVar[str] = "SiT-S/2 with an internal head after block 4"

    tap: int | None = param(4, low=1, doc="block after which the internal head hangs")


@register_recipe("sit_b_2_ig")
class SiTB2IG(InternalHead, SiTB2):
    """SiT-B/2 with a head after block 4."""

    summary: ClassVar[str] = "SiT-B/2 with an internal head after block 4"

    tap: int | None = param(4, low=1, doc="block after which the internal head hangs")


@register_recipe("sit_l_2_ig")
class SiTL2IG(InternalHead, SiTL2):
    """SiT-L/2 with a head after block 8."""

    summary: ClassVar[str] = "SiT-L/2 with an internal head after block 8"

    tap: int | None = param(8, low=1, doc="block after which the internal head hangs")


@register_recipe("sit_xl_2_ig")
class SiTXL2IG(InternalHead, SiTXL2):
    """SiT-XL/2 with a head after block 8."""

    summary: ClassVar[str] = "SiT-XL/2 with an internal head after block 8"

    tap: int | None = param(8, low=1, doc="block after which the internal head hangs")
