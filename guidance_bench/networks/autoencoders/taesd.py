"""TAESD (madebyollin/taesd): Stable Diffusion's VAE distilled to 1.2 million weights a side, for previews on a CPU."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...core.parameters import param
from ...storage.hub import fetch
from ...storage.pixels import UINT8_RULES
from .base import Autoencoder, AutoencoderConfig, register_autoencoder
from .weights import diffusers_class, fill, read_tensors

_ENCODER, _DECODER = "taesd_encoder.safetensors", "taesd_decoder.safetensors"


class TinyAutoencoder(Autoencoder):
    """TAESD by diffusers' ``AutoencoderTiny``: z has SD-VAE's scale of 0.18215 in it already, and no variance."""

    def __init__(self, name: str, encoder: Path, decoder: Path, uint8_rule: str) -> None:
        network = load_network(encoder, decoder)
        super().__init__(name, 4, 8, uint8_rule, files=(encoder, decoder))
        self.network = network

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """z and a deviation of zero."""
        z: Tensor = self.network.encode(images.to(self.network.dtype)).latents
        return z, torch.zeros_like(z)

    def reconstruct(self, z: Tensor) -> Tensor:
        """Images of z."""
        images: Tensor = self.network.decode(z.to(self.network.dtype)).sample
        return images


def load_network(encoder: Path, decoder: Path) -> Any:
    """diffusers' ``AutoencoderTiny`` from TAESD's two files of keys ``<layer>.<rest>``."""
    state = {f"encoder.layers.{k}": v for k, v in read_tensors(encoder).items()}
    for key, value in read_tensors(decoder).items():
        layer, _, rest = key.partition(".")
        # TAESD counts the clamp of the latents as the decoder's layer 0, diffusers keeps it outside the layers
        state[f"decoder.layers.{int(layer) - 1 if layer.isdigit() else layer}.{rest}"] = value
    network = diffusers_class("AutoencoderTiny")()
    fill(network, state, encoder)
    return network


@register_autoencoder("taesd")
class TAESD(AutoencoderConfig):
    """A fast preview of SD-VAE's latents; not the decoder of any published number."""

    summary: ClassVar[str] = "TAESD: fast preview decoder for SD-VAE's latents"
    source: str = param("", doc="folder of the two files; empty: GUIDANCE_BENCH_ASSETS, else the hub")
    uint8_rule: str = param("truncate", choices=tuple(UINT8_RULES), doc="float to uint8")

    def build(self) -> TinyAutoencoder:
        """TAESD from a folder or the hub."""
        return TinyAutoencoder(self.name, *self._files(), self.uint8_rule)

    def _files(self) -> tuple[Path, Path]:
        if self.source:
            folder = Path(self.source).expanduser()
            return folder / _ENCODER, folder / _DECODER
        assets = os.environ.get("GUIDANCE_BENCH_ASSETS")
        for folder in (Path(assets), Path(assets) / "taesd") if assets else ():
            if (folder / _ENCODER).is_file():
                return folder / _ENCODER, folder / _DECODER
        return fetch("taesd-encoder"), fetch("taesd-decoder")
