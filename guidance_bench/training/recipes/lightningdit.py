"""LightningDiT and LightningDiT with Internal Guidance's head, for VA-VAE latents of 256 x 256 images.

LightningDiT (hustvl/LightningDiT, ``configs/``): AdamW at 2e-4 with beta2 .95, batch 1024, log-normal t, cosine term,
gradients clipped to norm 1, EMA .9999; 80,000 steps are 64 epochs of ImageNet. Of each image its latent or the one of
its mirror image is taken with even chances (``datasets/img_latent_dataset.py``), with the head too.

With the head (CVL-UESTC/Internal-Guidance, LightningDiT half, ``train.py`` and its YAML): Muon for everything of two
and more dimensions at 2e-4 and decay .01, AdamW for the rest, batch 256, uniform t, EMA .9995 (the paper's; the
program's default is .9999); 300,000 steps are 60 epochs.
"""

from __future__ import annotations

from typing import ClassVar

from ...core.parameters import param
from ..recipe import TrainingRecipe, register_recipe

LIGHTNINGDIT = "Yao et al., arXiv 2501.01423"
IG = "Zhou et al., arXiv 2512.24176"


@register_recipe("lightningdit_b_1")
class LightningDiTB1(TrainingRecipe):
    """LightningDiT-B/1."""

    summary: ClassVar[str] = "LightningDiT-B/1, 131M parameters"
    paper: ClassVar[str] = LIGHTNINGDIT

    backbone: str = param("lightningdit", doc="registered backbone")
    hidden_size: int = param(768, low=4, doc="width of a token")
    num_heads: int = param(12, low=1, doc="attention heads")
    patch_size: int = param(1, low=1, doc="height and width of a patch")
    steps: int = param(80_000, low=1, doc="optimiser steps")
    batch: int = param(1024, low=1, doc="samples a step, over all processes")
    learning_rate: float = param(2e-4, doc="at its highest")
    beta2: float = param(0.95, high=1.0, doc="of AdamW")
    clip: float = param(1.0, doc="largest norm of the gradient; 0: as it is")
    times: str = param("lognormal", choices=("uniform", "lognormal", "stratified"), doc="law of t")
    cosine: bool = param(True, doc="LightningDiT's cosine term in the loss")
    flip: bool = param(True, doc="mirror half of the images, drawn anew each epoch")


@register_recipe("lightningdit_xl_1")
class LightningDiTXL1(LightningDiTB1):
    """LightningDiT-XL/1."""

    summary: ClassVar[str] = "LightningDiT-XL/1, 675M parameters"

    hidden_size: int = param(1152, low=4, doc="width of a token")
    depth: int = param(28, low=1, doc="blocks")
    num_heads: int = param(16, low=1, doc="attention heads")


@register_recipe("lightningdit_b_1_ig")
class LightningDiTB1IG(LightningDiTB1):
    """LightningDiT-B/1 with a head after block 4, Muon."""

    summary: ClassVar[str] = "LightningDiT-B/1 with an internal head after block 4, by Muon"
    paper: ClassVar[str] = IG

    tap: int | None = param(4, low=1, doc="block after which the internal head hangs")
    steps: int = param(300_000, low=1, doc="optimiser steps")
    batch: int = param(256, low=1, doc="samples a step, over all processes")
    optimizer: str = param("muon", choices=("adamw", "muon"), doc="muon: of matrices, AdamW of the rest")
    weight_decay: float = param(0.01, doc="of AdamW, or of Muon's matrices")
    ema: tuple[float, ...] = param((0.9995,), high=1.0, doc="decays of averaged weights; the first are the result")
    times: str = param("uniform", choices=("uniform", "lognormal", "stratified"), doc="law of t")


@register_recipe("lightningdit_xl_1_ig")
class LightningDiTXL1IG(LightningDiTB1IG):
    """LightningDiT-XL/1 with a head after block 8, Muon."""

    summary: ClassVar[str] = "LightningDiT-XL/1 with an internal head after block 8, by Muon"

    hidden_size: int = param(1152, low=4, doc="width of a token")
    depth: int = param(28, low=1, doc="blocks")
    num_heads: int = param(16, low=1, doc="attention heads")
    tap: int | None = param(8, low=1, doc="block after which the internal head hangs")
