"""Small random autoencoders in files of exactly the published layouts, beside the diffusers networks that they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

State = dict[str, Tensor]


@dataclass(frozen=True)
class Published:
    """An autoencoder in its file.

    Attributes:
        source: as ``source=`` takes it.
        network: diffusers' own.
        shift, scale: latents = (z - shift) * scale.
    """

    source: Path
    network: Any
    shift: float | Tensor
    scale: float | Tensor


def small_kl(levels: int = 4, channels: int = 4, attention: bool = False) -> Any:
    """Stable Diffusion's architecture of 2^(levels - 1) pixels a cell with 32 and 64 channels a level.

    With ``attention`` the lowest level has it too, as VA-VAE's.
    """
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    down, up = ["DownEncoderBlock2D"] * levels, ["UpDecoderBlock2D"] * levels
    if attention:
        down[-1], up[0] = "AttnDownEncoderBlock2D", "AttnUpDecoderBlock2D"
    return AutoencoderKL(
        down_block_types=down,
        up_block_types=up,
        block_out_channels=[32] * (levels - 2) + [64, 64],
        layers_per_block=2,
        latent_channels=channels,
        sample_size=64,
    ).eval()


def early_names(state: State) -> State:
    """Attention names of early diffusers, in which stabilityai/sd-vae-ft-* is published."""
    early = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
    return {_replaced(name, list(early.items())): value for name, value in state.items()}


def ldm_names(state: State) -> State:
    """The LDM names of a model, written out from its module tree (CompVis/latent-diffusion ``model.py``)."""
    levels = 1 + max(int(name.split(".")[2]) for name in state if name.startswith("encoder.down_blocks."))
    replaced = [(f"decoder.up_blocks.{i}.", f"decoder.up.{levels - 1 - i}.") for i in range(levels)]
    replaced += [("encoder.down_blocks.", "encoder.down."), ("mid_block.attentions.0.", "mid.attn_1.")]
    replaced += [("mid_block.resnets.0.", "mid.block_1."), ("mid_block.resnets.1.", "mid.block_2.")]
    replaced += [(".attentions.", ".attn."), (".group_norm.", ".norm."), (".to_out.0.", ".proj_out.")]
    replaced += [(f".to_{x}.", f".{x}.") for x in "qkv"] + [(".resnets.", ".block.")]
    replaced += [("downsamplers.0.", "downsample."), ("upsamplers.0.", "upsample.")]
    replaced += [("conv_shortcut", "nin_shortcut"), ("conv_norm_out", "norm_out")]
    renamed = {_replaced(name, replaced): value for name, value in state.items()}
    attention = re.compile(r"\.attn(_1|\.\d)\.")
    convolutions = {k: v[:, :, None, None].clone() for k, v in renamed.items() if attention.search(k) and v.dim() == 2}
    return renamed | convolutions


def _replaced(name: str, pairs: list[tuple[str, str]]) -> str:
    for new, old in pairs:
        name = name.replace(new, old)
    return name


def publish(kind: str, folder: Path) -> Published:
    """A small network of ``kind`` ("sd_vae_ema", "sd_vae_mse", "va_vae", "taesd") as its authors publish theirs."""
    folder.mkdir(parents=True)
    return {"va_vae": _va_vae, "taesd": _taesd}.get(kind, _sd_vae)(folder)


def _sd_vae(folder: Path) -> Published:
    """A folder of ``config.json`` and weights under early diffusers' names."""
    network = small_kl()
    network.save_pretrained(folder)
    save_file(early_names(network.state_dict()), folder / "diffusion_pytorch_model.safetensors")
    return Published(folder, network, 0.0, 0.18215)


def _va_vae(folder: Path) -> Published:
    """A training checkpoint under LDM's names, with what else it holds, and the latents' statistics beside it."""
    network = small_kl(levels=5, channels=32, attention=True)
    extra = {"loss.logvar": torch.zeros(()), "foundation_model.model.cls_token": torch.zeros(1, 1, 4)}
    torch.save({"state_dict": {**ldm_names(network.state_dict()), **extra}}, folder / "vavae.pt")
    draw = torch.Generator().manual_seed(1)
    mean, std = torch.randn(1, 32, 1, 1, generator=draw), 0.5 + torch.rand(1, 32, 1, 1, generator=draw)
    torch.save({"mean": mean, "std": std}, folder / "latents_stats.pt")
    return Published(folder / "vavae.pt", network, mean, 1 / std)


def _taesd(folder: Path) -> Published:
    """Two files; the decoder's layers are counted from the clamp of the latents."""
    from diffusers import AutoencoderTiny

    torch.manual_seed(0)
    network = AutoencoderTiny().eval()
    state = network.state_dict()
    encoder = {name.removeprefix("encoder.layers."): v for name, v in state.items() if name.startswith("encoder.")}
    decoder = {}
    for name, value in state.items():
        if name.startswith("decoder."):
            layer, _, rest = name.removeprefix("decoder.layers.").partition(".")
            decoder[f"{int(layer) + 1}.{rest}"] = value
    save_file(encoder, folder / "taesd_encoder.safetensors")
    save_file(decoder, folder / "taesd_decoder.safetensors")
    return Published(folder, network, 0.0, 1.0)
