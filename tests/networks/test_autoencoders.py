"""Latents: pixels, and Stable Diffusion's VAE on a small random model of exactly its published form."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import autoencoder_files
import pytest
import torch
from autoencoder_files import early_names, ldm_names
from safetensors.torch import save_file
from torch import Tensor

from guidance_bench.core.errors import UserError
from guidance_bench.networks.autoencoders.base import AUTOENCODERS, Autoencoder, load_autoencoder
from guidance_bench.networks.autoencoders.kl import diffusers_names, infer_config
from guidance_bench.networks.autoencoders.sd_vae import SD_SCALE
from guidance_bench.storage.pixels import from_uint8, to_uint8

State = dict[str, Tensor]


def _relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# -- pixels


def test_pixel_is_the_identity() -> None:
    pixel = load_autoencoder("pixel", channels=1)
    images = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1)
    latents = pixel.encode(from_uint8(images), noise=_normal(1, 1, 16, 16))
    assert pixel.latent_shape(16, 16) == (1, 16, 16) == tuple(latents.shape[1:])
    torch.testing.assert_close(latents, from_uint8(images), rtol=0, atol=0)
    torch.testing.assert_close(pixel.to_images(latents), images, rtol=0, atol=0)
    assert pixel.weights == {}


@pytest.mark.parametrize("channels", [None, 3])
def test_latents_are_shifted_and_scaled_by_the_formula(channels: int | None) -> None:
    """Encode gives (z - shift) scale, decode takes latents / scale + shift, of all or by channel."""

    class Double(Autoencoder):
        def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
            return 2 * images, torch.full_like(images, 0.5)

        def reconstruct(self, z: Tensor) -> Tensor:
            return z / 2

    shape = (1, channels, 1, 1) if channels else ()
    shift, scale = torch.linspace(0.3, 0.9, channels or 1).view(shape), torch.linspace(2, 4, channels or 1).view(shape)
    double = Double("double", 3, 1, "round", scale=scale, shift=shift)
    images, noise = _normal(2, 3, 4, 4), _normal(2, 3, 4, 4, seed=1)
    latents = double.encode(images, noise)
    torch.testing.assert_close(latents, (2 * images + 0.5 * noise - shift) * scale)
    torch.testing.assert_close(double.encode(images), (2 * images - shift) * scale)
    torch.testing.assert_close(double.decode(latents), images + 0.25 * noise)


def test_registry_and_mistakes() -> None:
    assert {"pixel", "sd_vae_ema", "sd_vae_mse", "va_vae", "taesd"} <= set(AUTOENCODERS.names())
    with pytest.raises(UserError, match=r"unknown autoencoder 'va-vae'.*did you mean 'va_vae'"):
        load_autoencoder("va-vae")
    with pytest.raises(UserError, match="'truncated' is not one of truncate, round"):
        load_autoencoder("pixel", uint8_rule="truncated")
    with pytest.raises(UserError, match="no parameter 'scale'"):
        load_autoencoder("sd_vae_ema", scale=1.0)


def test_diffusers_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    save_file(_small_ldm_state(), tmp_path / "vae.safetensors")
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(UserError, match=r"pip install 'guidance-bench\[latents\]'"):
        load_autoencoder("sd_vae_ema", source=str(tmp_path / "vae.safetensors"))


# -- SD-VAE: a small random model of exactly its form


@pytest.fixture(scope="module")
def small_kl() -> Any:
    return autoencoder_files.small_kl()


@pytest.fixture
def sd_folder(tmp_path: Path, small_kl: Any) -> Path:
    small_kl.save_pretrained(tmp_path / "vae")
    return tmp_path / "vae"


@pytest.mark.parametrize("kind", ["sd_vae_ema", "sd_vae_mse"])
def test_sd_vae_from_folder(kind: str, sd_folder: Path, small_kl: Any) -> None:
    vae = load_autoencoder(kind, source=str(sd_folder))
    images, noise = _normal(2, 3, 64, 64).clamp(-1, 1), _normal(2, 4, 8, 8, seed=1)
    assert (vae.channels, vae.factor, vae.uint8_rule, float(vae.scale)) == (4, 8, "truncate", pytest.approx(0.18215))
    with torch.no_grad():
        posterior = small_kl.encode(images).latent_dist
        latents = (posterior.mean + posterior.std * noise) * 0.18215
        decoded = small_kl.decode(latents / 0.18215).sample
    assert _relative(vae.encode(images, noise), latents) < 1e-6
    assert _relative(vae.encode(images), posterior.mean * 0.18215) < 1e-6
    assert _relative(vae.decode(latents), decoded) < 1e-6
    torch.testing.assert_close(vae.to_images(latents), to_uint8(vae.decode(latents), "truncate"), rtol=0, atol=0)
    assert [len(digest) for digest in vae.weights.values()] == [64]


def test_sd_vae_file_forms_agree(tmp_path: Path, small_kl: Any) -> None:
    """One weights file without config.json: present names, early names, LDM's names, and LDM's training checkpoint."""
    state = small_kl.state_dict()
    save_file(state, tmp_path / "diffusion_pytorch_model.safetensors")
    save_file(early_names(state), tmp_path / "early.safetensors")
    save_file(ldm_names(state), tmp_path / "ldm.safetensors")
    extra = {"loss.logvar": torch.zeros(()), "loss.discriminator.count": torch.tensor(7)}
    torch.save({"state_dict": {**ldm_names(state), **extra}}, tmp_path / "ldm.ckpt")
    latents = _normal(1, 4, 4, 4)
    with torch.no_grad():
        expected = small_kl.decode(latents / SD_SCALE).sample
    for name in ("diffusion_pytorch_model.safetensors", "early.safetensors", "ldm.safetensors", "ldm.ckpt"):
        vae = load_autoencoder("sd_vae_ema", source=str(tmp_path / name))
        assert _relative(vae.decode(latents), expected) < 1e-6, name


def _small_ldm_state() -> State:
    return ldm_names(autoencoder_files.small_kl().state_dict())


def test_inferred_config_is_the_saved_one(sd_folder: Path, small_kl: Any) -> None:
    saved = json.loads((sd_folder / "config.json").read_text())
    for state in (small_kl.state_dict(), ldm_names(small_kl.state_dict())):
        for key, value in infer_config(diffusers_names(state)).items():
            assert saved[key] == value, key


def test_full_size_sd_vae_is_told_from_its_tensors() -> None:
    """The published ones: 128, 256, 512, 512 channels and 83,653,863 weights, built without memory."""
    from diffusers import AutoencoderKL

    with torch.device("meta"):
        network = AutoencoderKL(
            down_block_types=["DownEncoderBlock2D"] * 4,
            up_block_types=["UpDecoderBlock2D"] * 4,
            block_out_channels=[128, 256, 512, 512],
            layers_per_block=2,
        )
        again = AutoencoderKL.from_config(infer_config(diffusers_names(early_names(network.state_dict()))))
    shapes = {k: v.shape for k, v in network.state_dict().items()}
    assert {k: v.shape for k, v in again.state_dict().items()} == shapes
    assert sum(p.numel() for p in again.parameters()) == 83_653_863


def test_scale_of_another_model_is_refused(sd_folder: Path) -> None:
    config = json.loads((sd_folder / "config.json").read_text())
    (sd_folder / "config.json").write_text(json.dumps({**config, "scaling_factor": 0.13025}))
    with pytest.raises(UserError, match=r"latents of scale 0.13025"):
        load_autoencoder("sd_vae_ema", source=str(sd_folder))


def test_wrong_weights_are_named(tmp_path: Path, small_kl: Any) -> None:
    file = tmp_path / "vae.safetensors"
    state = small_kl.state_dict()
    save_file({k: v for k, v in state.items() if k != "quant_conv.bias"}, file)
    with pytest.raises(UserError, match=r"in 1 tensors: quant_conv.bias: missing, expected \[8\]"):
        load_autoencoder("sd_vae_ema", source=str(file))
    save_file({"blocks.0.weight": torch.zeros(2)}, file)
    with pytest.raises(UserError, match=r"not a KL autoencoder: it has no tensor 'encoder.down_blocks.0"):
        load_autoencoder("sd_vae_ema", source=str(file))


class _Hostile:
    def __reduce__(self) -> Any:
        return eval, ("1/0",)


def test_hostile_pickle_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": _Hostile()}, tmp_path / "vae.pt")
    with pytest.raises(UserError, match=r"vae.pt' is refused"):
        load_autoencoder("sd_vae_ema", source=str(tmp_path / "vae.pt"))


def test_half_precision_network(sd_folder: Path) -> None:
    exact, half = (
        load_autoencoder("sd_vae_ema", source=str(sd_folder), dtype=d) for d in (torch.float32, torch.bfloat16)
    )
    latents = _normal(1, 4, 2, 2)
    assert next(half.network.parameters()).dtype == torch.bfloat16 and half.scale.dtype == torch.float32
    decoded = half.decode(latents)
    assert decoded.dtype == torch.float32 == half.encode(decoded).dtype
    assert 1e-6 < _relative(decoded, exact.decode(latents)) < 0.05


def test_sides_must_fit(sd_folder: Path) -> None:
    vae = load_autoencoder("sd_vae_ema", source=str(sd_folder))
    assert vae.latent_shape(256, 128) == (4, 32, 16)
    with pytest.raises(UserError, match="60 x 64 pixels are not multiples of 8"):
        vae.encode(torch.zeros(1, 3, 60, 64))
