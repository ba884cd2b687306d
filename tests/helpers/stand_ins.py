"""Small files of exactly the official form: checkpoints, autoencoders, ADM's reference; and a benchmark for them.

As a benchmark's file it registers ``stand_in``: ImageNet 256's declaration with a dozen samples and a feature network
that costs nothing, for runs in processes of their own.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fake_features import FakeInception
from guidance_bench.benchmarks.imagenet256 import ImageNet256

from guidance_bench.core.parameters import param
from guidance_bench.experiments.benchmark import register_benchmark
from guidance_bench.features.extractors import EXTRACTORS
from guidance_bench.networks.backbone import BACKBONES

SMALL = {"hidden_size": 64, "depth": 9, "num_heads": 16, "num_classes": 1000}
SD = {**SMALL, "in_channels": 4, "input_size": 4, "patch_size": 2}
VA = {**SMALL, "in_channels": 32, "input_size": 2, "patch_size": 1}
LIGHT = {"qk_norm": True, "rmsnorm": True, "swiglu": True, "rope": True}
FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "sit_xl": ("sit", {**SD, "learn_sigma": True}),
    "repa_sit_xl": ("sit", {**SD, "learn_sigma": False}),
    "sit_xl_ig": ("sit", {**SD, "learn_sigma": False, "tap": 8}),
    "lightningdit_xl": ("lightningdit", {**VA, **LIGHT}),
    "lightningdit_xl_ig": ("lightningdit", {**VA, **LIGHT, "tap": 8}),
}


def checkpoint(folder: Path, name: str, seed: int = 0, file: str = "") -> Path:
    """A checkpoint in the form in which it is published; random weights, none zero.

    SiT's is a bare state dict, REPA's too, with the projectors of its training; the others are nested by their training
    programs: "model", "ema", "opt", and Internal Guidance's "args", a namespace.
    """
    kind, config = FORMS[name]
    state = random_state(BACKBONES.create(kind, **config).build(), seed)
    if name == "sit_xl":
        content: dict[str, Any] = state
    elif name == "repa_sit_xl":
        content = {**state, "projectors.0.0.weight": torch.ones(8, 64), "projectors.0.0.bias": torch.ones(8)}
    else:
        content = {"model": state, "ema": state, "opt": {}, "epoch": 1, "steps": 7}
        content |= {"args": argparse.Namespace(model="small", seed=0)} if name.endswith("_ig") else {}
    path = folder / (file or f"{name}.pt")
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


def random_state(network: torch.nn.Module, seed: int) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    state = network.state_dict()
    for name, tensor in state.items():
        if tensor.is_floating_point() and "pos_embed" not in name and "freqs" not in name:
            state[name] = torch.randn(tensor.shape, generator=draw) * 0.1 + (1.0 if name.endswith("norm.weight") else 0)
    return state


def kl_autoencoder(folder: Path, levels: int, channels: int) -> Path:
    """A small KL autoencoder of 2^(levels - 1) pixels a cell, in the form in which SD-VAE or VA-VAE is published.

    With 4 channels under diffusers' names, else a training checkpoint of latent diffusion, statistics beside it.
    """
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    network = AutoencoderKL(
        block_out_channels=(32,) * levels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        latent_channels=channels,
        layers_per_block=1,
    )
    state = network.state_dict()
    if channels == 4:
        torch.save(state, folder / "vae.pt")
        return folder / "vae.pt"
    ldm = ldm_names(state, levels)
    torch.save({"state_dict": {**ldm, "loss.logvar": torch.zeros(1)}, "epoch": 1}, folder / "vae.pt")
    statistics = {"mean": torch.zeros(1, channels, 1, 1), "std": torch.ones(1, channels, 1, 1)}
    torch.save(statistics, folder / "latents_stats.pt")
    return folder / "vae.pt"


def ldm_names(state: dict[str, torch.Tensor], levels: int) -> dict[str, torch.Tensor]:
    """A KL autoencoder's tensors as latent diffusion names and shapes them."""
    rules = [
        (r"down_blocks\.(\d+)\.resnets", r"down.\1.block"), (r"downsamplers\.0", "downsample"),
        (r"up_blocks\.(\d+)", lambda m: f"up.{levels - 1 - int(m[1])}"), (r"(up\.\d+)\.resnets", r"\1.block"),
        (r"upsamplers\.0", "upsample"), (r"mid_block\.resnets\.0", "mid.block_1"), ("conv_norm_out", "norm_out"),
        (r"mid_block\.resnets\.1", "mid.block_2"), (r"mid_block\.attentions\.0", "mid.attn_1"),
        ("group_norm", "norm"), (r"to_([qkv])", r"\1"), (r"to_out\.0", "proj_out"), ("conv_shortcut", "nin_shortcut"),
    ]  # fmt: skip
    renamed = {}
    for key, tensor in state.items():
        flat = "attentions" in key and tensor.dim() == 2
        for pattern, other in rules:
            key = re.sub(pattern, other, key)
        renamed[key] = tensor[..., None, None] if flat else tensor
    return renamed


def taesd(folder: Path) -> Path:
    """TAESD's two files under its own names, random weights."""
    from diffusers import AutoencoderTiny
    from safetensors.torch import save_file

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    state = AutoencoderTiny().state_dict()
    for side, shift in (("encoder", 0), ("decoder", 1)):
        found = {k.removeprefix(f"{side}.layers."): v for k, v in state.items() if k.startswith(f"{side}.")}
        named = {f"{int(k.split('.')[0]) + shift}.{k.partition('.')[2]}": v.contiguous() for k, v in found.items()}
        save_file(named, folder / f"taesd_{side}.safetensors")
    return folder


def adm_reference(folder: Path, count: int = 16) -> Path:
    """A file of ADM's form: mu, sigma, mu_s, sigma_s of more images than arr_0 holds."""
    images = np.random.default_rng(0).integers(0, 256, (2 * count, 32, 32, 3), np.uint8)
    made = FakeInception(True)(images)
    arrays = {"arr_0": images[:count]}
    for key, name in (("", "features"), ("_s", "spatial")):
        rows = made[name].astype(np.float64)
        arrays |= {f"mu{key}": rows.mean(0), f"sigma{key}": np.cov(rows, rowvar=False)}
    np.savez(folder / "reference.npz", **arrays)
    return folder / "reference.npz"


def _fake(weights: Any, device: Any) -> FakeInception:
    return FakeInception(True)


@register_benchmark("stand_in")
class StandIn(ImageNet256):
    """ImageNet 256's declaration, twelve samples, a feature network that costs nothing."""

    samples: int = param(12, low=4)
    block: int = param(4, low=1)

    def inception_file(self):
        return None

    def wanted(self):
        return [pair for pair in super().wanted() if pair[0] != "Inception"]

    def evaluator(self, folder, device):
        saved = dict(EXTRACTORS)
        EXTRACTORS.update(dict.fromkeys(FakeInception.makes, _fake))
        try:
            return super().evaluator(folder, device)
        finally:
            EXTRACTORS.update(saved)
