"""No autoencoder: the backbone works on pixels."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ...core.parameters import param
from ...storage.pixels import UINT8_RULES
from .base import Autoencoder, AutoencoderConfig, register_autoencoder


class Pixel(Autoencoder):
    """The identity; latents are images in [-1, 1]."""

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The images and a deviation of zero."""
        return images, torch.zeros_like(images)

    def reconstruct(self, z: Tensor) -> Tensor:
        """The same images."""
        return z


@register_autoencoder("pixel")
class PixelConfig(AutoencoderConfig):
    """Images themselves."""

    summary: ClassVar[str] = "plain pixels in [-1, 1]"
    channels: int = param(3, low=1, doc="channels of the images")
    uint8_rule: str = param("round", choices=tuple(UINT8_RULES), doc="float to uint8")

    def build(self) -> Pixel:
        """The identity."""
        return Pixel(self.name, self.channels, 1, self.uint8_rule)
