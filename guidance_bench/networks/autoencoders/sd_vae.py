"""Stable Diffusion's VAE (f8, 4 channels) in the two fine-tuned versions that DiT, SiT and REPA decode with."""

from __future__ import annotations

from typing import ClassVar

from ...core.errors import UserError
from ...core.parameters import param
from ...storage.hub import fetch
from ...storage.pixels import UINT8_RULES
from .base import AutoencoderConfig, register_autoencoder
from .kl import KLAutoencoder

#: Scale of Stable Diffusion's latents, as DiT, SiT, REPA and Internal Guidance have it.
SD_SCALE = 0.18215


class _SDVAE(AutoencoderConfig):
    source: str
    uint8_rule: str

    def build(self) -> KLAutoencoder:
        """The VAE from the hub, a weights file, or a folder in diffusers' form.

        Raises:
            UserError: the weights' own ``config.json`` names another scale: they belong to another model.
        """
        vae = KLAutoencoder(self.name, fetch(self.source), self.uint8_rule, scale=SD_SCALE)
        scale = vae.network.config.scaling_factor
        if scale != SD_SCALE:
            raise UserError(
                f"{self.name}: {self.source!r} has latents of scale {scale}, Stable Diffusion's have {SD_SCALE}"
            )
        return vae


@register_autoencoder("sd_vae_ema")
class SDVAEEma(_SDVAE):
    """stabilityai/sd-vae-ft-ema."""

    summary: ClassVar[str] = "Stable Diffusion's VAE, ft-EMA: f8, 4 channels, scale 0.18215"
    source: str = param("sd-vae-ema", doc="known name, org/repo:file, URL, file or folder")
    uint8_rule: str = param("truncate", choices=tuple(UINT8_RULES), doc="float to uint8")


@register_autoencoder("sd_vae_mse")
class SDVAEMse(_SDVAE):
    """stabilityai/sd-vae-ft-mse."""

    summary: ClassVar[str] = "Stable Diffusion's VAE, ft-MSE: f8, 4 channels, scale 0.18215"
    source: str = param("sd-vae-mse", doc="known name, org/repo:file, URL, file or folder")
    uint8_rule: str = param("truncate", choices=tuple(UINT8_RULES), doc="float to uint8")
