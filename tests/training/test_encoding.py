"""``guidance-bench encode``: each autoencoder's moments, a killed one gone on with, one made by two processes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from autoencoder_files import publish
from commands import run, start
from PIL import Image
from safetensors.torch import load_file

from guidance_bench.cli.main import main
from guidance_bench.storage.pixels import from_uint8

SIZE = 64


def photographs(folder: Path, count: int) -> Path:
    draw = np.random.default_rng(0)
    for number in range(count):
        place = folder / "images" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        pixels = draw.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number:03d}.png")
    return folder / "images"


def stored(folder: Path) -> dict[str, torch.Tensor]:
    shards = [load_file(folder / name) for name in json.loads((folder / "latents.json").read_text())["shards"]]
    return {name: torch.cat([shard[name] for shard in shards]) for name in shards[0]}


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


@pytest.mark.parametrize(("kind", "shape"), [
    ("sd_vae_ema", (4, 8, 8)), ("sd_vae_mse", (4, 8, 8)), ("va_vae", (32, 4, 4)), ("taesd", (4, 8, 8)),
])  # fmt: skip
def test_moments_are_those_of_diffusers(tmp_path, kind, shape):
    images, vae = photographs(tmp_path, 5), publish(kind, tmp_path / "vae")
    words = [
        f"to={tmp_path / 'z'}",
        f"autoencoder={kind}",
        f"source={vae.source}",
        f"size={SIZE}",
        "shard=3",
        "batch=2",
    ]
    assert main(["encode", str(images), *words, "device=cpu"]) == 0
    files = sorted(images.rglob("*.png"))
    pixels = from_uint8(torch.from_numpy(np.stack([np.asarray(Image.open(file)) for file in files])))
    found = stored(tmp_path / "z")
    assert found["labels"].tolist() == [0, 0, 0, 1, 1] and found["mean"].shape == (5, *shape)
    for ending, turned in (("", pixels), ("_flip", pixels.flip(-1))):
        with torch.no_grad():
            encoded = vae.network.encode(turned)
        mean, deviation = (
            (encoded.latents, torch.zeros_like(encoded.latents))
            if kind == "taesd"
            else (encoded.latent_dist.mean, encoded.latent_dist.std)
        )
        torch.testing.assert_close(found[f"mean{ending}"], (mean - vae.shift) * vae.scale, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found[f"std{ending}"], (deviation * vae.scale).expand_as(mean), rtol=1e-4, atol=1e-6)
    assert not torch.equal(found["mean"], found["mean_flip"])


@pytest.mark.slow
def test_killed_or_shared_by_two_processes_it_writes_the_same_bytes(tmp_path):
    images, vae = photographs(tmp_path, 60), publish("sd_vae_ema", tmp_path / "vae")
    words = ["encode", str(images), "autoencoder=sd_vae_ema", f"source={vae.source}", f"size={SIZE}", "shard=4"]
    words += ["batch=4", "device=cpu"]
    run([*words, f"to={tmp_path / 'whole'}"], tmp_path / "log1")
    killed = start([*words, f"to={tmp_path / 'cut'}"], tmp_path / "log2")
    killed.wait_for(lambda: (tmp_path / "cut" / "shard_00002.json").exists())
    killed.kill()
    assert killed.wait() == [-9] and not (tmp_path / "cut" / "latents.json").exists()
    before = {name: (tmp_path / "cut" / name).stat().st_mtime_ns for name in ("shard_00000.safetensors",)}
    run([*words, f"to={tmp_path / 'cut'}"], tmp_path / "log3")
    assert before == {name: (tmp_path / "cut" / name).stat().st_mtime_ns for name in before}
    run([*words, f"to={tmp_path / 'two'}"], tmp_path / "log4", processes=2)
    whole = contents(tmp_path / "whole")
    assert len(whole) == 2 * 15 + 2  # shards with their seals, plan and index
    assert contents(tmp_path / "cut") == whole and contents(tmp_path / "two") == whole
    run([*words, f"to={tmp_path / 'two'}"], tmp_path / "log5", processes=2)
    assert contents(tmp_path / "two") == whole
