"""Between images and the latents that a backbone works on.

One convention for all autoencoders: latents = (z - shift) * scale, where z is what the network's encoder gives.
"""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...core.errors import UserError
from ...core.parameters import Configurable
from ...core.registry import Registry
from ...storage.files import sha256_of
from ...storage.pixels import check_uint8_rule, to_uint8


class Autoencoder(nn.Module):
    """Images (N, C, H, W) in [-1, 1] to latents (N, channels, H / factor, W / factor) and back.

    Attributes:
        name: the registered name.
        channels: channels of a latent.
        factor: pixels of the image along one side of a latent's cell.
        scale, shift: latents = (z - shift) * scale; scalar or (1, channels, 1, 1), always float32.
        uint8_rule: how decoded images become uint8, one of :data:`guidance_bench.storage.pixels.UINT8_RULES`.
        weights: sha256 of each weights file by its name.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        name: str,
        channels: int,
        factor: int,
        uint8_rule: str,
        *,
        scale: float | Tensor = 1.0,
        shift: float | Tensor = 0.0,
        files: tuple[Path, ...] = (),
    ) -> None:
        super().__init__()
        self.name, self.channels, self.factor = name, channels, factor
        self.uint8_rule = check_uint8_rule(uint8_rule)
        self.weights = {file.name: sha256_of(file) for file in files}
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float32), persistent=False)
        self.register_buffer("shift", torch.as_tensor(shift, dtype=torch.float32), persistent=False)

    @abstractmethod
    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of z, each (N, channels, H / factor, W / factor)."""

    @abstractmethod
    def reconstruct(self, z: Tensor) -> Tensor:
        """Images of z."""

    def latent_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """(channels, h, w) of the latents of images with ``height`` x ``width`` pixels.

        Raises:
            UserError: the factor does not divide a side.
        """
        if height % self.factor or width % self.factor:
            raise UserError(f"{self.name}: sides of {height} x {width} pixels are not multiples of {self.factor}")
        return self.channels, height // self.factor, width // self.factor

    @torch.no_grad()
    def encode(self, images: Tensor, noise: Tensor | None = None) -> Tensor:
        """Latents of images, float32: the posterior's mean, or with ``noise`` (standard normal, latents' shape) a draw.

        Raises:
            UserError: the images' sides do not fit.
        """
        self.latent_shape(*images.shape[-2:])
        mean, deviation = (t.float() for t in self.posterior(images))
        z = mean if noise is None else mean + deviation * noise
        return (z - self.shift) * self.scale

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Images of latents, float32, nominally in [-1, 1] (not clamped)."""
        return self.reconstruct(latents.float() / self.scale + self.shift).float()

    def to_images(self, latents: Tensor) -> Tensor:
        """Decoded latents as uint8 (N, H, W, C)."""
        return to_uint8(self.decode(latents), self.uint8_rule)


class AutoencoderConfig(Configurable):
    """A registered autoencoder: a dataclass of where its weights are and how its latents are scaled."""

    #: one line for ``guidance-bench list``
    summary: ClassVar[str] = ""

    @abstractmethod
    def build(self) -> Autoencoder:
        """The autoencoder with its weights.

        Raises:
            UserError: the weights cannot be had, or are not this autoencoder's.
        """


AUTOENCODERS: Registry[AutoencoderConfig] = Registry(
    "autoencoder", "guidance_bench.networks.autoencoders", lambda: AutoencoderConfig, "guidance_bench.autoencoders"
)
register_autoencoder = AUTOENCODERS.register


def load_autoencoder(
    name: str, *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32, **parameters: Any
) -> Autoencoder:
    """An autoencoder by its registered name ("pixel", "sd_vae_ema", "sd_vae_mse", "va_vae", "taesd", ...), frozen.

    ``parameters`` are the fields of its registered configuration, most often ``source``. ``dtype`` is that of the
    network inside; latents and images are float32 either way.
    """
    autoencoder = AUTOENCODERS.create(name, **parameters).build()
    for network in autoencoder.children():
        nn.Module.to(network, dtype=dtype)  # diffusers' own .to warns of an empty list of modules
    return autoencoder.to(device).eval().requires_grad_(False)
