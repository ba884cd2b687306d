"""Benchmarks that train on real images: a user's class folders from end to end, CIFAR-10's files and protocols."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from fake_features import install
from guidance_bench.benchmarks import cifar10 as cifar10_module
from guidance_bench.benchmarks.folder import load_classes
from guidance_bench.benchmarks.shared.image_benchmark import RealImages
from PIL import Image

import guidance_bench as gb
from guidance_bench.cli.main import main
from guidance_bench.experiments.records import committed_results
from guidance_bench.training.sources.cifar10 import VARIABLE

QUICK = {
    "size": 8, "samples": 20, "block": 10, "solver_steps": 2, "train_steps": 4, "weak_steps": 2, "batch": 4,
    "width": 24, "depth": 2, "heads": 2, "tap": 1, "reference": 12,
}  # fmt: skip


@pytest.fixture
def pets(tmp_path):
    """Fourteen pictures of two kinds, of several sizes and modes."""
    rng = np.random.default_rng(0)
    for kind, count in (("cats", 8), ("dogs", 6)):
        (tmp_path / "pets" / kind).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 256, (12 + i, 10, 3), dtype=np.uint8)
            Image.fromarray(pixels).convert("L" if i % 2 else "RGB").save(tmp_path / "pets" / kind / f"{i}.png")
    (tmp_path / "pets" / "cats" / ".hidden.png").write_bytes(b"")
    return tmp_path / "pets"


def test_class_folders_become_a_benchmark_on_the_command_line(pets, tmp_path, monkeypatch, capsys):
    fake = install(monkeypatch)
    fields = [f"benchmark.{k}={v}" for k, v in QUICK.items()]
    words = ["run", "benchmark=folder", f"data={pets}", *fields, f"output={tmp_path / 'out'}"]
    only = ["benchmark.methods=[none,ig]"]
    assert main([*words, *only]) == 0
    assert "leaderboard" in capsys.readouterr().out
    frame = gb.load_results(tmp_path / "out")
    assert frame["method"].tolist().count("ig") == 3 and len(frame) == 4
    assert {"fid", "sfid", "precision", "recall", "fid_infinity"} <= set(frame.columns)
    assert fake.images == 12 + 4 * 20
    plain = frame.loc[frame["method"] == "none", "run_id"].item()
    assert main(["verify", str(tmp_path / "out" / plain), f"output={tmp_path / 'out'}", "samples=10"]) == 0
    assert "nothing differs" in capsys.readouterr().out
    moved = pets.rename(tmp_path / "elsewhere")
    words[2] = f"data={moved}"
    assert main([*words, "method=none"]) == 0  # the name of a run knows the pixels, not the path
    assert len(gb.load_results(tmp_path / "out")) == 4 and fake.images == 12 + 4 * 20


def test_the_images_are_cut_and_named_by_their_pixels(pets):
    read = load_classes(str(pets), 8)
    assert read.images.shape == (14, 8, 8, 3) and read.classes == ("cats", "dogs")
    assert np.bincount(read.labels).tolist() == [8, 6]
    benchmark = gb.BENCHMARKS.create("folder", data=str(pets), **QUICK)
    recipes = benchmark.recipes(0)
    assert recipes["main"]["data"] == f"folder@{read.sha256[:16]}" and "data" not in benchmark.protocol()["parameters"]
    assert recipes["main"]["config"]["num_classes"] == 2 and recipes["weak"]["config"]["depth"] == 1
    changed = RealImages("folder", read.images[::-1], read.labels, read.classes)
    assert changed.sha256 != read.sha256
    assert read.evenly(5).labels.tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: "", "needs data=PATH"),
        (lambda p: str(p / "nowhere"), "is no folder"),
        (lambda p: str(p / "cats"), "holds no class folders"),
        (lambda p: shutil.rmtree(p / "cats") or str(p), "holds 1 class folder; at least 2"),
        (lambda p: str((p / "birds").mkdir() or p), "'.*birds' holds no images"),
        (lambda p: str((p / "dogs" / "a.png").write_bytes(b"no") and p), "a.png' cannot be decoded as an image"),
    ],
)
def test_mistakes_of_a_folder_are_one_sentence(make, message, pets, tmp_path):
    with pytest.raises(gb.UserError, match=message):
        gb.run("folder", data=make(pets), output=tmp_path / "out")


def test_data_belongs_to_a_benchmark_that_has_it(capsys):
    assert main(["run", "benchmark=digits", "data=somewhere"]) == 2
    assert "benchmark 'digits' has no parameter 'data'" in capsys.readouterr().err


def test_cifar10_and_its_small_form_never_share_a_table(monkeypatch):
    images = RealImages("cifar10", np.zeros((20, 32, 32, 3), np.uint8), np.arange(20) % 10, tuple("abcdefghij"))
    monkeypatch.setattr(cifar10_module, "load_images", lambda train: images)
    large, small = (gb.BENCHMARKS.create(name) for name in ("cifar10", "cifar10_small"))
    assert large.recipes(0)["main"]["config"] == {
        "input_size": 32, "patch_size": 2, "in_channels": 3, "num_classes": 10, "num_heads": 6,
        "hidden_size": 384, "depth": 12, "tap": 4,
    }  # fmt: skip
    assert large.recipes(0)["weak"]["config"]["hidden_size"] == 240
    assert small.recipes(0)["main"]["config"]["hidden_size"] == 96
    assert large.protocol()["name"] != small.protocol()["name"]
    assert [s.method for s in large.line_up()] == ["none"] + [
        m for m in ("cfg", "autoguidance", "ig", "ig_cfg") for _ in range(3)
    ]


def test_the_committed_study_in_colour_holds_what_the_readme_says_of_it():
    frame = gb.load_results(committed_results() / "cifar10_small" / "records")
    best = frame.groupby("method")["fid"].min()
    assert len(frame) == 13 and set(frame["seed"]) == {0} and set(frame["samples"]) == {500}
    assert best.idxmin() == "autoguidance" and best["ig"] < 0.93 * best["none"]
    plain, guided = (frame.loc[frame["method"] == method, "cost.nfe"] for method in ("none", "ig"))
    assert set(guided) == set(plain) == {20}


def test_cifar10_says_which_files_go_where(monkeypatch, tmp_path):
    cifar10_module.load_images.cache_clear()
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(gb.UserError, match=r"-py and no cifar-10-batches-bin in .*cifar-10-python\.tar\.gz"):
        gb.BENCHMARKS.create("cifar10").recipes(0)


def test_cifar10_in_little_runs_from_training_to_record(monkeypatch, tmp_path):
    rng = np.random.default_rng(1)

    def images(train: bool) -> RealImages:
        count = 40 if train else 30
        pixels = rng.integers(0, 256, (count, 32, 32, 3), np.uint8) if train else np.full((30, 32, 32, 3), 7, np.uint8)
        return RealImages("cifar10", pixels, np.arange(count) % 10, tuple("abcdefghij"))

    known = {train: images(train) for train in (True, False)}
    monkeypatch.setattr(cifar10_module, "load_images", known.__getitem__)
    install(monkeypatch)
    quick = {k: v for k, v in QUICK.items() if k not in ("size", "reference")}
    frame = gb.run("cifar10_small", method=["none", "autoguidance"], output=tmp_path, **quick)
    assert frame["fid"].notna().all() and frame["recall"].between(0, 1).all()
    record = gb.load_results(tmp_path)
    assert set(record["networks"].iloc[0]) == {"main", "weak"}
    (file,) = (tmp_path / record["run_id"][0]).glob("record.json")
    reference = json.loads(file.read_text())["evaluator"]["reference"]
    assert reference == {"images": {"data": "cifar10", "sha256": known[False].sha256}, "count": 30}
