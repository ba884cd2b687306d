"""Latents: encoded whole or in parts they are the same, drawn anew each time; LightningDiT's are read as they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import stand_ins
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import guidance_bench as gb
from guidance_bench.cli.main import main
from guidance_bench.networks.autoencoders.base import Autoencoder
from guidance_bench.storage.pixels import from_uint8
from guidance_bench.training.data.class_folders import class_folders
from guidance_bench.training.data.source import open_source
from guidance_bench.training.latents import encode as encoding
from guidance_bench.training.latents.encode import Encoding, encode
from guidance_bench.training.latents.shards import mapped
from guidance_bench.training.sources.cifar10 import BINARY, ROWS

CPU = torch.device("cpu")


class Halves(Autoencoder):
    """Means of 2 x 2 pixels; the deviation is a tenth of 1 + mean^2."""

    def __init__(self) -> None:
        super().__init__("halves", 3, 2, "round", scale=2.0, shift=0.25)

    def posterior(self, images):
        mean = torch.nn.functional.avg_pool2d(images, 2)
        return mean, 0.1 * (1 + mean**2)

    def reconstruct(self, z):
        return torch.nn.functional.interpolate(z, scale_factor=2)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    draw = np.random.default_rng(0)
    for number in range(10):
        place = tmp_path / "images" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(place / f"{number}.png")
    return tmp_path / "images"


def job(images: Path, **settings) -> Encoding:
    return Encoding(class_folders(images), Halves(), **{"size": 8, "shard": 4, "batch": 3, **settings})


def test_moments_labels_and_statistics_are_those_of_the_images(images, tmp_path):
    index = json.loads(encode(job(images), tmp_path / "z", CPU).read_text())
    assert list(index["shards"]) == [f"shard_0000{i}.safetensors" for i in range(3)] and index["count"] == 10
    assert index["classes"] == ["a", "b"] and index["shape"] == [3, 4, 4]
    stored = [load_file(tmp_path / "z" / name) for name in index["shards"]]
    files = [*sorted((images / "a").iterdir()), *sorted((images / "b").iterdir())]
    pixels = from_uint8(torch.from_numpy(np.stack([np.asarray(Image.open(f)) for f in files])))
    for ending, turned in (("", pixels), ("_flip", pixels.flip(-1))):
        mean, deviation = Halves().posterior(turned)
        torch.testing.assert_close(torch.cat([s[f"mean{ending}"] for s in stored]), (mean - 0.25) * 2)
        torch.testing.assert_close(torch.cat([s[f"std{ending}"] for s in stored]), deviation * 2)
    assert torch.cat([s["labels"] for s in stored]).tolist() == [0] * 5 + [1] * 5
    mean, deviation = Halves().posterior(torch.cat([pixels, pixels.flip(-1)]))
    z = (mean.double() - 0.25) * 2
    np.testing.assert_allclose(index["channel_mean"], z.mean((0, 2, 3)), atol=1e-6)
    spread = (z.var((0, 2, 3), correction=0) + (2 * deviation.double()).square().mean((0, 2, 3))).sqrt()
    np.testing.assert_allclose(index["channel_std"], spread, rtol=1e-5)


def test_encoding_stopped_in_the_middle_goes_on_and_ends_the_same(images, tmp_path, monkeypatch):
    whole = encode(job(images), tmp_path / "whole", CPU)
    real, made = encoding._make, []

    def make(job, file, first, *rest):
        if first == 4 and 4 not in made:
            made.append(first)
            (file.parent / f".{file.name}.x.tmp").write_bytes(b"half")
            raise KeyboardInterrupt
        made.append(first)
        return real(job, file, first, *rest)

    monkeypatch.setattr(encoding, "_make", make)
    with pytest.raises(KeyboardInterrupt):
        encode(job(images), tmp_path / "cut", CPU)
    assert not (tmp_path / "cut" / "latents.json").exists()
    cut = encode(job(images), tmp_path / "cut", CPU)
    assert made == [0, 4, 4, 8]  # the first shard was not made again
    assert cut.read_bytes() == whole.read_bytes() and not list((tmp_path / "cut").glob(".*tmp"))
    with pytest.raises(gb.UserError, match="holds latents of other images or settings"):
        encode(job(images, flip=False), tmp_path / "cut", CPU)


def test_a_damaged_shard_or_a_mended_image_costs_one_shard(images, tmp_path, monkeypatch):
    folder = tmp_path / "z"
    whole = encode(job(images), folder, CPU).read_bytes()
    gb.SOURCES.create("latents", path=str(folder)).load()
    file = folder / "shard_00001.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
    with pytest.raises(gb.UserError, match=r"shard_00001\.safetensors' is damaged: .*delete 'shard_00001\.json'"):
        gb.SOURCES.create("latents", path=str(folder)).load()
    with pytest.raises(gb.UserError, match=r"does not fit its shard_00001\.json: delete 'shard_00001\.json' beside it"):
        encode(job(images), folder, CPU)
    file.with_suffix(".json").unlink()
    real, made = encoding._make, []
    monkeypatch.setattr(encoding, "_make", lambda *words: made.append(words[2]) or real(*words))
    assert encode(job(images), folder, CPU).read_bytes() == whole and made == [4]
    picture = sorted((images / "b").iterdir())[-1]  # of the last shard
    good = picture.read_bytes()
    picture.write_bytes(good[:60])
    with pytest.raises(gb.UserError, match=f"{picture.name}' cannot be decoded"):
        encode(job(images), folder, CPU)
    picture.write_bytes(good)
    assert encode(job(images), folder, CPU).read_bytes() == whole and made == [4, 8, 8]


def test_rows_are_drawn_from_the_posterior_and_mirrored(images, tmp_path):
    encode(job(images), tmp_path / "z", CPU)
    data = gb.SOURCES.create("latents", path=str(tmp_path / "z")).load()
    assert data.shape == (3, 4, 4) and data.num_classes == 2 and len(data) == 10
    rows, mirrored = np.array([9, 0, 4]), np.array([False, True, False])
    noise = torch.randn(3, 3, 4, 4)
    x, y = data.batch(rows, mirrored, lambda: noise)
    for place, (row, turned) in enumerate(zip(rows, mirrored, strict=True)):
        shard = load_file(tmp_path / "z" / f"shard_0000{row // 4}.safetensors")
        ending = "_flip" if turned else ""
        drawn = shard[f"mean{ending}"][row % 4] + shard[f"std{ending}"][row % 4] * noise[place]
        torch.testing.assert_close(x[place], drawn)
    assert y.tolist() == [1, 0, 0]
    assert isinstance(data.shards[0]["mean"], np.memmap)
    network = gb.train("sit_s_2_ig", data, tmp_path / "out", hidden_size=16, depth=2, num_heads=2, tap=1, steps=3,
                       batch=4, device="cpu", flip=True)  # fmt: skip
    assert network.shape == (3, 4, 4)
    encode(job(images, flip=False), tmp_path / "plain", CPU)
    with pytest.raises(
        gb.UserError, match=r"flip=true needs mirror images, latents@\w+ has none: .*recipe\.flip=false"
    ):
        gb.train("sit_s_2", f"latents:{tmp_path / 'plain'}", tmp_path / "out", device="cpu")


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    folder = tmp_path / "theirs"
    folder.mkdir()
    draw = torch.Generator().manual_seed(0)
    for number in range(2):
        z = torch.randn(5, 8, 4, 4, generator=draw)
        tensors = {"latents": z, "latents_flip": z.flip(-1), "labels": torch.tensor([0, 7, 3, 1, number])}
        save_file(tensors, folder / f"latents_rank00_shard00{number}.safetensors")
    statistics = {"mean": torch.randn(1, 8, 1, 1, generator=draw), "std": 1 + torch.rand(1, 8, 1, 1, generator=draw)}
    torch.save(statistics, folder / "latents_stats.pt")
    return folder


def test_lightningdits_shards_are_read_as_they_are(theirs):
    data = gb.SOURCES.create("latents", path=str(theirs), num_classes=1000, multiplier=0.5).load()
    assert data.num_classes == 1000 and len(data) == 10
    x, y = data.batch(np.array([6, 6]), np.array([False, True]), lambda: torch.zeros(2, 8, 4, 4))
    z = load_file(theirs / "latents_rank00_shard001.safetensors")["latents"][1]
    known = torch.load(theirs / "latents_stats.pt")
    expected = (z - known["mean"][0]) / known["std"][0] * 0.5
    torch.testing.assert_close(x[0], expected)
    torch.testing.assert_close(x[1], (z.flip(-1) - known["mean"][0]) / known["std"][0] * 0.5)
    assert y.tolist() == [7, 7]


def test_bad_shards_are_named(theirs, images, tmp_path):
    with pytest.raises(gb.UserError, match=r"shard000\.safetensors': label 7 of sample 1 is outside 0\.\.3"):
        gb.SOURCES.create("latents", path=str(theirs), num_classes=4).load()
    file = theirs / "latents_rank00_shard001.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(gb.UserError, match=r"latents_rank00_shard001\.safetensors.*its header promises"):
        gb.train("lightningdit_b_1", f"latents:{theirs}", tmp_path)
    file.write_bytes(b"\xff" * 100)
    with pytest.raises(gb.UserError, match="longer than the file"):
        mapped(file)
    file.unlink()
    (theirs / "latents_stats.pt").unlink()
    with pytest.raises(gb.UserError, match=r"latents_stats\.pt' is missing"):
        gb.SOURCES.create("latents", path=str(theirs)).load()
    with pytest.raises(gb.UserError, match="needs a folder of shards"):
        gb.train("lightningdit_b_1", "latents:nowhere", tmp_path)


def test_class_folders_become_pixels_and_faults_are_named(images, tmp_path):
    data = gb.SOURCES.create("folder", path=str(images), size=8).load()
    assert data.classes == ("a", "b") and data.shape == (3, 8, 8) and data.labels.tolist() == [0] * 5 + [1] * 5
    first = sorted((images / "a").iterdir())[0]
    assert np.array_equal(data.images[0], np.asarray(Image.open(first)))
    first.write_bytes(b"no picture")
    with pytest.raises(gb.UserError, match=first.name):
        gb.train("digits_sit_ig", f"folder:{images}", tmp_path)
    (images / "c").mkdir()
    with pytest.raises(gb.UserError, match=r"class folder '.*/c' holds no images"):
        gb.train("digits_sit_ig", f"folder:{images}", tmp_path)
    with pytest.raises(gb.UserError, match="needs a path"):
        gb.train("digits_sit_ig", "folder", tmp_path)


def test_cifar10_says_what_to_unpack_where(tmp_path):
    with pytest.raises(gb.UserError, match=r"unpack cifar-10-python\.tar\.gz"):
        gb.train("digits_sit_ig", f"cifar10:{tmp_path}", tmp_path)


def test_cifar10_in_binary_files_is_read_in_their_order(tmp_path):
    folder = tmp_path / BINARY
    folder.mkdir()
    rows = np.zeros((ROWS, 3073), np.uint8)
    rows[:, 0] = np.arange(ROWS) % 10
    rows[3, 1 : 1 + 1024] = 7  # red
    rows[3, 1 + 2048 + 32] = 9  # blue, second line, first column
    rows.tofile(folder / "test_batch.bin")
    read = open_source(f"cifar10:{tmp_path}", part="test")
    assert read.images.shape == (ROWS, 32, 32, 3) and read.labels[:11].tolist() == [*range(10), 0]
    assert read.images[3, 1, :2].tolist() == [[7, 0, 9], [7, 0, 0]] and not read.images[4:].any()

    rows[0, 0] = 9
    rows.tofile(folder / "test_batch.bin")
    with pytest.raises(gb.UserError, match=r"has not 1,000 test images of each class"):
        open_source(f"cifar10:{folder}", part="test")
    rows[:-1].tofile(folder / "test_batch.bin")
    with pytest.raises(gb.UserError, match=r"test_batch\.bin' holds 30,726,927 bytes, not 30,730,000"):
        open_source(f"cifar10:{tmp_path}", part="test")
    with pytest.raises(gb.UserError, match=r"data_batch_1\.bin' cannot be read"):
        open_source(f"cifar10:{tmp_path}")


def test_the_command_encodes_with_taesd_and_its_mistakes_are_one_line(images, tmp_path, monkeypatch, capsys):
    assert main(["encode", str(images), f"to={tmp_path / 'z'}"]) == 2
    assert "encode needs autoencoder=" in capsys.readouterr().err
    assert main(["encode", str(images), f"to={tmp_path / 'z'}", "autoencoder=taesc"]) == 2
    assert "did you mean 'taesd'" in capsys.readouterr().err
    assert main(["encode", "to=z", "autoencoder=taesd"]) == 2
    assert "one FOLDER" in capsys.readouterr().err
    monkeypatch.setattr("guidance_bench.networks.autoencoders.base.load_autoencoder", lambda name, **_: Halves())
    words = ["encode", str(images), f"to={tmp_path / 'z'}", "autoencoder=halves", "size=8", "device=cpu"]
    assert main(words) == 0
    assert "10 latents of 3 x 4 x 4 in 1 shards, 2 classes" in capsys.readouterr().out


def test_latents_are_shown_by_an_autoencoder_whose_weights_are_at_hand(images, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GUIDANCE_BENCH_OFFLINE", "1")
    source = f"source={stand_ins.taesd(tmp_path / 'taesd')}"
    assert main(["encode", str(images), f"to={tmp_path / 'z'}", "autoencoder=taesd", source, "size=32"]) == 0
    tiny = ["hidden_size=16", "depth=2", "num_heads=2", "batch=4", "steps=2", "flip=true", "tap=1"]
    words = ["train", "recipe=digits_sit_ig", f"data=latents:{tmp_path / 'z'}", *[f"recipe.{word}" for word in tiny]]
    words += [f"output={tmp_path / 'out'}", "device=cpu", "observe_every=2"]
    capsys.readouterr()
    assert main(words) == 2 and "give data.autoencoder=NAME" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()  # said before the training
    assert main([*words, "data.autoencoder=taesd", f"data.{source}"]) == 0
    shown = sorted((tmp_path / "out").rglob("*.png"))
    assert [file.name for file in shown] == ["observed.png", "step_000000002_ig.png", "step_000000002_none.png"]
    assert Image.open(shown[1]).size == (320, 256)
