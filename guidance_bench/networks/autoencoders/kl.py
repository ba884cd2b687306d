"""The KL autoencoder of latent diffusion (Rombach et al., arXiv 2112.10752), which SD-VAE and VA-VAE are.

Its files come under two naming schemes, LDM's and diffusers'; the network is diffusers' in both cases.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ...core.errors import UserError
from ...storage.files import read_json
from .base import Autoencoder
from .weights import diffusers_class, fill, read_tensors

#: The autoencoder within a training checkpoint, which also holds losses, discriminator and teacher.
_PARTS = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")

_DIFFUSERS_FILE = "diffusion_pytorch_model.safetensors"

_Rules = tuple[tuple[str, str], ...]

_LDM: _Rules = (
    (r"^encoder\.down\.", "encoder.down_blocks."),
    (r"^decoder\.up\.", "decoder.up_blocks."),
    (r"\.mid\.block_1\.", ".mid_block.resnets.0."),
    (r"\.mid\.block_2\.", ".mid_block.resnets.1."),
    (r"\.mid\.attn_1\.", ".mid_block.attentions.0."),
    (r"\.block\.", ".resnets."),
    (r"\.attn\.", ".attentions."),
    (r"\.(down|up)sample\.", r".\1samplers.0."),
    (r"\.nin_shortcut\.", ".conv_shortcut."),
    (r"\.norm_out\.", ".conv_norm_out."),
)

#: Inside an attention block: LDM's names, and those of early diffusers in which sd-vae-ft-* was published.
_ATTENTION: _Rules = (
    (r"\.norm\.", ".group_norm."),
    (r"\.(?:q|query)\.", ".to_q."),
    (r"\.(?:k|key)\.", ".to_k."),
    (r"\.(?:v|value)\.", ".to_v."),
    (r"\.(?:proj_out|proj_attn)\.", ".to_out.0."),
)


class KLAutoencoder(Autoencoder):
    """A KL autoencoder from a weights file, or from a folder in diffusers' form; ``files`` is filled in.

    Raises:
        UserError: diffusers is missing, or the file is not a KL autoencoder.
    """

    def __init__(self, name: str, path: Path, uint8_rule: str, **scaling: float | Tensor) -> None:
        file = path / _DIFFUSERS_FILE if path.is_dir() else path
        network = load_network(file)
        levels, channels = len(network.config.block_out_channels), network.config.latent_channels
        super().__init__(name, channels, 2 ** (levels - 1), uint8_rule, files=(file,), **scaling)
        self.network = network

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of z."""
        posterior = self.network.encode(images.to(self.network.dtype)).latent_dist
        return posterior.mean, posterior.std

    def reconstruct(self, z: Tensor) -> Tensor:
        """Images of z."""
        images: Tensor = self.network.decode(z.to(self.network.dtype)).sample
        return images


def load_network(file: Path) -> Any:
    """diffusers' ``AutoencoderKL`` of a weights file; in diffusers' form a ``config.json`` beside it is followed."""
    state = diffusers_names(read_tensors(file))
    described = file.with_name("config.json")
    try:
        follow = file.name == _DIFFUSERS_FILE and described.is_file()
        config = read_json(described) if follow else infer_config(state)
    except KeyError as error:
        raise UserError(f"{str(file)!r} is not a KL autoencoder: it has no tensor {error}") from error
    network = diffusers_class("AutoencoderKL").from_config(config)
    fill(network, state, file)
    return network


def diffusers_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The KL autoencoder within ``state`` under diffusers' names, from LDM's names, diffusers' or its early ones."""
    parts = {k: v for k, v in state.items() if k.startswith(_PARTS)}
    top = max((int(m[1]) for k in parts if (m := re.match(r"decoder\.up\.(\d+)\.", k))), default=0)
    renamed = {}
    for key, value in parts.items():
        # LDM counts the decoder's levels from the image, diffusers from the latent
        name = _rename(re.sub(r"^decoder\.up\.(\d+)", lambda m: f"decoder.up.{top - int(m[1])}", key), _LDM)
        if ".attentions." in name:
            name = _rename(name, _ATTENTION)
        # LDM's attention is made of 1 x 1 convolutions, diffusers' of linear layers
        renamed[name] = value.flatten(1) if ".attentions." in name and value.dim() == 4 else value
    return renamed


def _rename(name: str, rules: _Rules) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def infer_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Arguments of ``AutoencoderKL`` read off the tensors; group norms have LDM's 32 groups.

    Raises:
        KeyError: a tensor that tells is not there.
    """
    widths: list[int] = []
    while (first := f"encoder.down_blocks.{len(widths)}.resnets.0.conv1.weight") in state or not widths:
        widths.append(state[first].shape[0])
    resnets = {k.split(".")[4] for k in state if k.startswith("encoder.down_blocks.0.resnets.")}
    return {
        "in_channels": state["encoder.conv_in.weight"].shape[1],
        "out_channels": state["decoder.conv_out.weight"].shape[0],
        "latent_channels": state["decoder.conv_in.weight"].shape[1],
        "block_out_channels": widths,
        "layers_per_block": len(resnets),
        "down_block_types": _block_types(state, "encoder.down_blocks", "DownEncoderBlock2D", len(widths)),
        "up_block_types": _block_types(state, "decoder.up_blocks", "UpDecoderBlock2D", len(widths)),
    }


def _block_types(state: Mapping[str, Tensor], prefix: str, kind: str, levels: int) -> list[str]:
    attentive = {k.split(".")[2] for k in state if k.startswith(prefix) and ".attentions." in k}
    return [f"Attn{kind}" if str(level) in attentive else kind for level in range(levels)]
