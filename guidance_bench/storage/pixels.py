"""Images at the edges: uint8 (N, H, W, C) in [0, 255] outside, float (N, C, H, W) in [-1, 1] inside.

The way from float to uint8 is part of a protocol: the two rules differ by half a grey level on average.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..core.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor


def _truncate(x: Tensor) -> Tensor:
    return 255.0 * ((x + 1) / 2)


def _round(x: Tensor) -> Tensor:
    return 127.5 * x + 128.0


#: Float to the 0..255 scale; the result is clamped to [0, 255] and its fraction is cut off.
#:
#: - "truncate", 255 (x + 1) / 2: sihyun-yu/REPA@8ce44b0 and CVL-UESTC/Internal-Guidance@7dbc83c (SiT), ``generate.py``.
#: - "round", 127.5 x + 128: willisma/SiT@a87098c ``sample_ddp.py``, LightningDiT and VA-VAE ``tokenizer/vavae.py``.
#:   It is the nearest grey level: uint8 images survive :func:`from_uint8` and back; "truncate" darkens some.
UINT8_RULES: dict[str, Callable[[Tensor], Tensor]] = {"truncate": _truncate, "round": _round}


def check_uint8_rule(rule: str) -> str:
    """Return ``rule``, or raise :class:`UserError` with the known rules."""
    if rule not in UINT8_RULES:
        known = ", ".join(UINT8_RULES)
        raise UserError(f"unknown uint8 rule {rule!r} (known: {known}){did_you_mean(rule, UINT8_RULES)}")
    return rule


def to_uint8(images: Tensor, rule: str) -> Tensor:
    """Float images (N, C, H, W), nominally in [-1, 1], as uint8 (N, H, W, C) by one of :data:`UINT8_RULES`.

    Raises:
        UserError: the rule is unknown, or an image holds NaN (a sampler that diverged must not become a black image).
    """
    import torch

    scaled = UINT8_RULES[check_uint8_rule(rule)](images.float())
    if torch.isnan(scaled).any():
        broken = int(torch.isnan(scaled).flatten(1).any(1).sum())
        raise UserError(f"{broken} of {len(images)} images hold NaN: lower the guidance scale or sample in float32")
    return scaled.clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def as_rgb(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 images (N, H, W, C) as the feature networks take them: grey repeated to three channels, RGB as it is.

    Raises:
        UserError: another number of channels.
    """
    if images.shape[-1] not in (1, 3):
        raise UserError(f"images have {images.shape[-1]} channels: metrics are of grey or RGB images")
    return images if images.shape[-1] == 3 else images.repeat(3, axis=-1)


def from_uint8(images: Tensor) -> Tensor:
    """uint8 images (N, H, W, C) as float (N, C, H, W) in [-1, 1]: u / 127.5 - 1."""
    return images.permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1


def center_crop(image: Image.Image, size: int) -> Image.Image:
    """ADM's square crop (openai/guided-diffusion@8fb3ad9 ``image_datasets.py``, ``center_crop_arr``).

    Halve with a box filter while the short side is at least twice ``size``, resize with a bicubic filter so that the
    short side is ``size``, and cut out the middle. A smaller image is enlarged.

    Raises:
        UserError: ``size`` is not positive.
    """
    if size < 1:
        raise UserError(f"crop size {size} is not positive")
    while min(image.size) >= 2 * size:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = size / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size))


def load_image(path: str | Path, size: int) -> Tensor:
    """One image file as uint8 (size, size, 3): RGB, then :func:`center_crop`.

    Raises:
        UserError: the file is missing or is not an image.
    """
    import torch

    try:
        with Image.open(path) as image:
            cropped = center_crop(image.convert("RGB"), size)
    except OSError as error:
        raise UserError(f"{str(path)!r} is not a readable image: {error}") from error
    return torch.from_numpy(np.array(cropped))
