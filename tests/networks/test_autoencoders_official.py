"""Latents against official values: VA-VAE's golden file, and TAESD's real weights on real photographs."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from guidance_bench.core.errors import UserError
from guidance_bench.networks.autoencoders.base import load_autoencoder
from guidance_bench.networks.autoencoders.sd_vae import SD_SCALE
from guidance_bench.storage.pixels import from_uint8, load_image, to_uint8

SHARED = Path(__file__).parents[3] / "shared"
State = dict[str, Tensor]


def _shared(path: str) -> Path:
    if not (SHARED / path).exists():
        pytest.skip(f"{path} is too large for the repository and not in {SHARED}")
    return SHARED / path


def _relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# -- VA-VAE: the official program's values


@pytest.fixture(scope="module")
def va_golden() -> State:
    return load_file(_shared("golden/official/vavae.safetensors"))


@pytest.fixture(scope="module")
def va_folder(va_golden: State, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published form: a training checkpoint with losses and teacher beside the weights, and its statistics."""
    folder = tmp_path_factory.mktemp("va_vae")
    weights = {k.removeprefix("weights."): v for k, v in va_golden.items() if k.startswith("weights.")}
    extra = {
        "loss.discriminator.main.0.weight": torch.zeros(2),
        "foundation_model.model.cls_token": torch.zeros(1, 1, 4),
    }
    torch.save({"state_dict": {**weights, **extra}}, folder / "va-vae.pt")
    statistics = {"mean": _normal(1, 32, 1, 1), "std": _normal(1, 32, 1, 1, seed=1).abs() + 0.5}
    torch.save(statistics, folder / "latents_stats.pt")
    return folder


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 4e-6)])
def test_va_vae_golden(va_golden: State, va_folder: Path, dtype: torch.dtype, tolerance: float) -> None:
    """In float64 the rest is the float32 rounding of the official values themselves."""
    vae = load_autoencoder("va_vae", source=str(va_folder / "va-vae.pt"), statistics="none", dtype=dtype)
    assert (vae.channels, vae.factor, vae.uint8_rule) == (32, 16, "round")
    assert _relative(vae.decode(va_golden["z"]), va_golden["decoded"]) < tolerance
    assert _relative(vae.encode(va_golden["image"]), va_golden["mean"]) < tolerance
    with torch.no_grad():
        _, deviation = vae.posterior(va_golden["image"])
    assert _relative(2 * deviation.float().log(), va_golden["logvar"]) < tolerance


@pytest.mark.parametrize("multiplier", [1.0, 0.5])
def test_va_vae_statistics(va_golden: State, va_folder: Path, multiplier: float) -> None:
    """Decoded as latents * std / multiplier + mean; encoded as (z - mean) / std * multiplier."""
    statistics = torch.load(va_folder / "latents_stats.pt", weights_only=True)
    mean, std = statistics["mean"], statistics["std"]
    vae = load_autoencoder("va_vae", source=str(va_folder / "va-vae.pt"), multiplier=multiplier)
    latents = (va_golden["z"] - mean) / std * multiplier
    assert _relative(vae.decode(latents), va_golden["decoded"]) < 1e-5
    noise = _normal(*va_golden["mean"].shape)
    drawn = va_golden["mean"] + (va_golden["logvar"] / 2).exp() * noise
    assert _relative(vae.encode(va_golden["image"], noise), (drawn - mean) / std * multiplier) < 1e-5


def test_va_vae_needs_its_statistics(va_golden: State, va_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "va-vae.pt").write_bytes((va_folder / "va-vae.pt").read_bytes())
    weights = str(tmp_path / "va-vae.pt")
    with pytest.raises(UserError, match=r"no latents_stats.pt beside .*; give statistics=PATH, or statistics=none"):
        load_autoencoder("va_vae", source=weights)
    elsewhere = load_autoencoder("va_vae", source=weights, statistics=str(va_folder / "latents_stats.pt"))
    assert elsewhere.scale.shape == (1, 32, 1, 1)
    wrong = {
        "mean \\[32\\]": {"mean": torch.zeros(32), "std": torch.ones(32)},
        "holds mean": {"mean": torch.zeros(1, 32, 1, 1)},
        "not finite and positive": {"mean": torch.zeros(1, 32, 1, 1), "std": torch.zeros(1, 32, 1, 1)},
        "statistics of 16 channels for latents of 32": {
            "mean": torch.zeros(1, 16, 1, 1),
            "std": torch.ones(1, 16, 1, 1),
        },
    }
    for message, statistics in wrong.items():
        torch.save(statistics, tmp_path / "latents_stats.pt")
        with pytest.raises(UserError, match=message):
            load_autoencoder("va_vae", source=weights)


# -- TAESD: the real weights


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Tensor:
    """The two photographs of scikit-learn, 256 x 256, (2, 3, 256, 256) in [-1, 1]."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    folder = tmp_path_factory.mktemp("photographs")
    images = []
    for index, array in enumerate(load_sample_images().images):
        Image.fromarray(array).save(folder / f"{index}.png")
        images.append(load_image(folder / f"{index}.png", 256))
    return from_uint8(torch.stack(images))


def _taesd_encoder(state: State, x: Tensor) -> Tensor:
    """TAESD's encoder on images in [0, 1], written out: a convolution or a residual block a layer."""
    for layer in range(15):
        x = _taesd_layer(state, str(layer), x, stride=2 if layer in (2, 6, 10) else 1)
    return x


def _taesd_decoder(state: State, z: Tensor) -> Tensor:
    x = F.relu(_taesd_layer(state, "1", 3 * torch.tanh(z / 3)))
    for layer in range(3, 20):
        x = F.interpolate(x, scale_factor=2) if layer in (6, 11, 16) else _taesd_layer(state, str(layer), x)
    return x


def _taesd_layer(state: State, layer: str, x: Tensor, stride: int = 1) -> Tensor:
    if f"{layer}.weight" in state:
        return F.conv2d(x, state[f"{layer}.weight"].float(), _bias(state, layer), stride=stride, padding=1)
    h = x
    for index in (0, 2, 4):
        name = f"{layer}.conv.{index}"
        h = F.conv2d(F.relu(h) if index else h, state[f"{name}.weight"].float(), _bias(state, name), padding=1)
    return F.relu(h + x)


def _bias(state: State, name: str) -> Tensor | None:
    return state[f"{name}.bias"].float() if f"{name}.bias" in state else None


def test_taesd_is_its_definition() -> None:
    folder = _shared("assets/taesd")
    taesd = load_autoencoder("taesd", source=str(folder))
    images, latents = _normal(1, 3, 64, 32).clamp(-1, 1), 2 * _normal(1, 4, 8, 4)
    encoder, decoder = (load_file(folder / f"taesd_{side}.safetensors") for side in ("encoder", "decoder"))
    assert _relative(taesd.encode(images), _taesd_encoder(encoder, (images + 1) / 2)) < 1e-5
    assert _relative(taesd.decode(latents), 2 * _taesd_decoder(decoder, latents) - 1) < 1e-5
    torch.testing.assert_close(taesd.encode(images, noise=_normal(1, 4, 8, 4)), taesd.encode(images), rtol=0, atol=0)


def _psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio of uint8 images, dB."""
    return 10 * math.log10(255**2 / float((a.double() - b.double()).square().mean()))


def test_taesd_round_trip_of_photographs(photographs: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above 22 dB, and the latents have the unit scale that 0.18215 gives SD-VAE's."""
    monkeypatch.setenv("GUIDANCE_BENCH_ASSETS", str(_shared("assets")))
    taesd = load_autoencoder("taesd")
    latents = taesd.encode(photographs)
    assert latents.shape == (2, 4, 32, 32) and (taesd.channels, taesd.factor) == (4, 8)
    assert 0.8 < float(latents.std()) < 1.2
    images = to_uint8(photographs, "round")
    assert _psnr(taesd.to_images(latents), images) > 22
    for wrong in (SD_SCALE, 1 / SD_SCALE):  # the other scales in use lose at least 5 dB
        assert _psnr(taesd.to_images(latents[:1, :, :8, :8] * wrong), images[:1, :64, :64]) < 17


def test_taesd_files_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"taesd_encoder.safetensors'"):
        load_autoencoder("taesd", source=str(tmp_path))
