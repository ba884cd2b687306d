"""Small networks with an internal head and their weak partners, sized to minutes on a CPU."""

from __future__ import annotations

from typing import ClassVar

from ...core.parameters import param
from ..recipe import TrainingRecipe, register_recipe


@register_recipe("digits_sit_ig")
class DigitsSiTIG(TrainingRecipe):
    """The main network of the benchmark ``digits``: width 64, depth 6, head after block 2."""

    summary: ClassVar[str] = "small SiT with an internal head for 8x8 digits; a minute on two CPU cores"

    hidden_size: int = param(64, low=4, doc="width of a token")
    depth: int = param(6, low=1, doc="blocks")
    num_heads: int = param(4, low=1, doc="attention heads")
    tap: int | None = param(2, low=1, doc="block after which the internal head hangs")
    steps: int = param(1000, low=1, doc="optimiser steps")
    batch: int = param(64, low=1, doc="samples a step, over all processes")
    learning_rate: float = param(3e-3, doc="at its highest")
    beta2: float = param(0.99, high=1.0, doc="of AdamW")
    warmup: int = param(50, doc="steps over which the rate rises from 0")
    decay: str = param("cosine", choices=("constant", "cosine"), doc="of the rate after that; cosine ends at 0")
    ema: tuple[float, ...] = param((0.995,), high=1.0, doc="decays of averaged weights; the first are the result")
    ema_ramp: bool = param(True, doc="the first steps average over less: decay at most (1 + step) / (10 + step)")
    times: str = param("stratified", choices=("uniform", "lognormal", "stratified"), doc="law of t")


@register_recipe("digits_sit_weak")
class DigitsSiTWeak(DigitsSiTIG):
    """The weak network of the benchmark ``digits``: narrower, shallower, trained for fewer steps, no head."""

    summary: ClassVar[str] = "weak partner of digits_sit_ig: less width, fewer blocks, fewer steps"

    hidden_size: int = param(48, low=4, doc="width of a token")
    depth: int = param(3, low=1, doc="blocks")
    tap: int | None = param(None, low=1, doc="block after which the internal head hangs")
    steps: int = param(250, low=1, doc="optimiser steps")
    ema: tuple[float, ...] = param((0.98,), high=1.0, doc="decays of averaged weights; the first are the result")


@register_recipe("fashion_sit_ig")
class FashionSiTIG(DigitsSiTIG):
    """For 28 x 28 images: width 96, depth 8, patch 4, head after block 3."""

    summary: ClassVar[str] = "small SiT with an internal head for 28x28 or 32x32 images; an hour on two CPU cores"

    hidden_size: int = param(96, low=4, doc="width of a token")
    depth: int = param(8, low=1, doc="blocks")
    patch_size: int = param(4, low=1, doc="height and width of a patch")
    tap: int | None = param(3, low=1, doc="block after which the internal head hangs")
    steps: int = param(12_000, low=1, doc="optimiser steps")
    learning_rate: float = param(1.5e-3, doc="at its highest")
    ema: tuple[float, ...] = param((0.999,), high=1.0, doc="decays of averaged weights; the first are the result")


@register_recipe("fashion_sit_weak")
class FashionSiTWeak(FashionSiTIG):
    """Two thirds as wide, half as deep, a quarter of the steps, no head."""

    summary: ClassVar[str] = "weak partner of fashion_sit_ig: less width, fewer blocks, fewer steps"

    hidden_size: int = param(64, low=4, doc="width of a token")
    depth: int = param(4, low=1, doc="blocks")
    tap: int | None = param(None, low=1, doc="block after which the internal head hangs")
    steps: int = param(3000, low=1, doc="optimiser steps")
    ema: tuple[float, ...] = param((0.98,), high=1.0, doc="decays of averaged weights; the first are the result")
