"""The benchmark of real images: its networks and reference, the study's records, and one image's features again."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_features import install
from guidance_bench.benchmarks.fashion_mnist import HERE, make
from guidance_bench.benchmarks.fashion_mnist.data import load_images, reference_images
from guidance_bench.benchmarks.fashion_mnist.grids import STRENGTHS, SWEEPS
from guidance_bench.benchmarks.fashion_mnist.make import RECIPES, draw_training, make_networks, make_reference
from guidance_bench.benchmarks.shared.image_benchmark import RealImages
from guidance_bench.benchmarks.shared.inception import inception_maker, load_reference
from guidance_bench.benchmarks.shared.pinned_networks import pinned_networks, pinned_recipe
from guidance_bench.benchmarks.shared.pixels import to_images, to_latents
from inception_weights import torch_fidelity_network

import guidance_bench as gb
from guidance_bench.features.inception import build_trunk
from guidance_bench.features.inception_weights import find_packaged, find_weights, read_weights
from guidance_bench.sampling.dry_run import check_method
from guidance_bench.storage.files import sha256_of
from guidance_bench.training.sources.fashion_mnist import PLACES

needs_images = pytest.mark.skipif(not Path(PLACES[0]).exists(), reason="Fashion-MNIST is not installed")
needs_inception = pytest.mark.skipif(find_packaged() is None, reason="Inception's weights are not installed")


def test_the_networks_are_those_of_the_recipes():
    networks = pinned_networks(HERE, torch.device("cpu"))
    main = networks.main
    assert main.shape == (1, 28, 28) and main.depth == 8 and main.trained_taps == (3,) and main.num_classes == 10
    for name, network in (("main", main), ("weak", networks.weak)):
        recipe = pinned_recipe(HERE, name)
        assert recipe["sha256"] == sha256_of(HERE / f"{name}.safetensors") == networks.facts[name]["sha256"]
        assert {k: v for k, v in recipe.items() if k != "sha256"} == RECIPES[name].as_dict()
        assert sum(p.numel() for p in network.parameters() if p.requires_grad) <= networks.facts[name]["parameters"]
        assert next(network.parameters()).dtype == torch.float32
        losses = json.loads((HERE / f"{name}.json").read_text())["losses"]
        assert losses[-1][0] == recipe["steps"] and losses[-1][1] < 0.5 * losses[0][1]


def test_the_recorded_losses_are_drawn(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(make, "save", lambda figure, *words: drawn.append(figure))
    draw_training(HERE)
    lines = {line.get_label(): line.get_xydata().tolist() for line in drawn[0].axes[0].lines}
    assert lines == {f"{name} network": json.loads((HERE / f"{name}.json").read_text())["losses"] for name in RECIPES}


def test_a_damaged_file_of_the_benchmark_is_named(tmp_path):
    for file in HERE.glob("*.json"):
        shutil.copy(file, tmp_path)
    (tmp_path / "main.safetensors").write_bytes(b"no weights")
    with pytest.raises(gb.UserError, match=r"main\.safetensors' is missing or damaged"):
        pinned_networks(tmp_path, torch.device("cpu"))
    with pytest.raises(gb.UserError, match=r"reference\.safetensors' is missing or damaged"):
        load_reference(tmp_path)
    (tmp_path / "main.json").write_text("{}")
    with pytest.raises(gb.UserError, match=r"main\.json' is missing or damaged: install the project again"):
        pinned_recipe(tmp_path, "main")


def test_the_reference_is_what_its_file_says():
    reference, known = load_reference(HERE)
    assert reference.array("features").shape == (2500, 2048) and reference.array("spatial").shape == (2500, 2023)
    assert known["sha256"] == sha256_of(HERE / "reference.safetensors")
    assert known["network"]["weights_sha256"].startswith("7ff4a85c")


def test_every_method_is_tried_at_the_same_number_of_settings():
    line_up = gb.BENCHMARKS.create("fashion_mnist_tune").line_up()
    assert [s.method for s in line_up[:6]] == ["none", "cfg", "cfg", "cfg", "cfg", "autoguidance"]
    counts = {method: sum(s.method == method for s in line_up) for method in SWEEPS}
    assert set(counts.values()) == {len(STRENGTHS)} and len(counts) >= 14
    networks = pinned_networks(HERE, torch.device("cpu"))
    for setting in line_up:  # the networks can serve every one of them
        check_method(setting.create(), networks.main, networks.weak)


def test_all_seeds_share_the_networks_and_none_is_the_tuning_seed():
    study, tuning = (gb.BENCHMARKS.create(name) for name in ("fashion_mnist", "fashion_mnist_tune"))
    assert study.seeds == (1, 2, 3) and tuning.seeds == (100,)
    assert study.recipes(1) == study.recipes(3) == tuning.recipes(100)
    assert study.recipes(1)["main"]["config"]["hidden_size"] == 96


@needs_images
def test_the_training_images_are_those_of_the_recipe():
    train = load_images("train")
    assert train.images.shape == (60_000, 28, 28, 1) and np.bincount(train.labels).tolist() == [6000] * 10
    assert pinned_recipe(HERE, "main")["data"] == f"fashion_mnist@{train.sha256[:16]}"
    assert np.array_equal(to_images(to_latents(train.images[:100])), train.images[:100])


@needs_images
def test_the_reference_images_are_named_by_their_hash():
    reference = reference_images()
    assert np.bincount(reference.labels).tolist() == [250] * 10
    assert load_reference(HERE)[1]["images"]["sha256"] == reference.sha256


def test_what_comes_with_the_benchmark_can_be_made_again(tmp_path, monkeypatch):
    """On few images, steps and a network that costs nothing: the same files in the same form."""
    rng = np.random.default_rng(0)
    images = RealImages(
        "fashion_mnist", rng.integers(0, 256, (20, 28, 28, 1), np.uint8), np.arange(20) % 10, "0123456789"
    )
    monkeypatch.setattr(make, "load_images", lambda part: images)
    monkeypatch.setattr(make, "reference_images", lambda: images)
    with pytest.raises(gb.UserError, match="the training images are fashion_mnist@"):
        make_networks(tmp_path, torch.device("cpu"))
    monkeypatch.setattr(make, "DATA", images.dataset().name)
    quick = {name: dataclasses.replace(recipe, steps=2, batch=4) for name, recipe in RECIPES.items()}
    monkeypatch.setattr(make, "RECIPES", quick)
    make_networks(tmp_path, torch.device("cpu"))
    networks = pinned_networks(tmp_path, torch.device("cpu"))
    assert networks.main.trained_taps == (3,) and networks.facts["weak"]["parameters"] == 330512
    install(monkeypatch)
    make_reference(tmp_path, torch.device("cpu"))
    reference, known = load_reference(tmp_path)
    assert reference.count == known["count"] == 20 and known["images"]["sha256"] == images.sha256


@pytest.mark.slow
@needs_images
@needs_inception
def test_the_reference_is_inceptions_of_the_images():
    made = inception_maker(torch.device("cpu"))(reference_images().images[:8])
    reference, _ = load_reference(HERE)
    for name, rows in made.items():
        expected = reference.array(name)[:8]
        np.testing.assert_allclose(rows, expected, rtol=2**-10, atol=1e-5)


@pytest.mark.slow
@needs_images
@needs_inception
def test_torch_fidelity_gives_the_same_features_of_64_of_the_images():
    images = np.repeat(reference_images().images[:64], 3, axis=-1)
    peer = torch_fidelity_network(None, ["2048"])
    names = [n.removesuffix(".conv") for n, m in build_trunk().named_modules() if isinstance(m, torch.nn.Conv2d)]
    loaded = peer.load_state_dict(read_weights(find_weights(None), names).tensors, strict=False)
    assert not loaded.unexpected_keys and all(k.startswith("fc.") or "tracked" in k for k in loaded.missing_keys)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    with torch.inference_mode():
        expected = torch.cat([peer(part)[0] for part in pixels.split(16)]).numpy()
    features = gb.metrics.inception_features(images)["pool3"]
    assert np.linalg.norm(features - expected) / np.linalg.norm(expected) < 1e-5
    assert np.abs(features - expected).max() < 1e-5 * np.abs(expected).max()
