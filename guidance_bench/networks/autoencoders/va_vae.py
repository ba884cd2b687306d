"""VA-VAE f16d32 (Yao et al., arXiv 2501.01423), the autoencoder of LightningDiT."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from ...core.errors import UserError
from ...core.parameters import param
from ...storage.hub import fetch
from ...storage.pixels import UINT8_RULES
from .base import AutoencoderConfig, register_autoencoder
from .kl import KLAutoencoder
from .weights import read_tensors

_PUBLISHED = "va-vae"
_STATISTICS = "latents_stats.pt"


@register_autoencoder("va_vae")
class VAVAE(AutoencoderConfig):
    """LightningDiT's latents: (z - mean) / std * multiplier, channel by channel (its ``img_latent_dataset.py``)."""

    summary: ClassVar[str] = "VA-VAE: f16, 32 channels, latents normalised by their statistics"
    source: str = param(_PUBLISHED, doc="known name, org/repo:file, URL or file (LDM's names)")
    statistics: str = param(
        "auto", doc="source of {mean, std}; auto: published, or latents_stats.pt beside the weights; none"
    )
    multiplier: float = param(1.0, low=1e-6, doc="factor on the normalised latents")
    uint8_rule: str = param("round", choices=tuple(UINT8_RULES), doc="float to uint8")

    def build(self) -> KLAutoencoder:
        """The VAE and its statistics.

        Raises:
            UserError: no statistics are found (latents without them decode to noise), or they are not (1, C, 1, 1).
        """
        file = fetch(self.source)
        mean, std = self._statistics(file)
        vae = KLAutoencoder(self.name, file, self.uint8_rule, scale=self.multiplier / std, shift=mean)
        if mean.dim() and mean.shape[1] != vae.channels:
            raise UserError(f"{self.name}: statistics of {mean.shape[1]} channels for latents of {vae.channels}")
        return vae

    def _statistics(self, weights: Path) -> tuple[Tensor, Tensor]:
        if self.statistics == "none":
            return torch.tensor(0.0), torch.tensor(1.0)
        if self.statistics != "auto":
            return read_statistics(fetch(self.statistics))
        if self.source.lower() == _PUBLISHED:
            return read_statistics(fetch(f"{_PUBLISHED}-statistics"))
        beside = weights.with_name(_STATISTICS)
        if not beside.is_file():
            raise UserError(
                f"{self.name}: no {_STATISTICS} beside {str(weights)!r}; give statistics=PATH, or statistics=none"
            )
        return read_statistics(beside)


def read_statistics(file: Path) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of latents, each (1, C, 1, 1), from a file {"mean", "std"}.

    Raises:
        UserError: the file is not of this form, or a deviation is not positive.
    """
    tensors = read_tensors(file)
    mean, std = tensors.get("mean"), tensors.get("std")
    if mean is None or std is None or mean.shape != std.shape or mean.shape != (1, mean.numel(), 1, 1):
        found = ", ".join(f"{k} {list(v.shape)}" for k, v in tensors.items()) or "nothing"
        raise UserError(f"{str(file)!r} holds {found[:160]}; latent statistics are mean and std of shape (1, C, 1, 1)")
    if not bool((std > 0).all() and torch.isfinite(mean).all() and torch.isfinite(std).all()):
        raise UserError(f"{str(file)!r}: a mean or standard deviation is not finite and positive")
    return mean, std
