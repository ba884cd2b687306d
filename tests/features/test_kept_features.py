"""Features beside the samples: made once, found by another metric, made again where anything has changed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from fake_features import FakeInception, install, pictures
from synthetic_store import COST, fill, flip

from guidance_bench.core.errors import UserError
from guidance_bench.evaluation.evaluate import evaluate
from guidance_bench.experiments.benchmark import Evaluator
from guidance_bench.experiments.evidence import keep_features, read_once
from guidance_bench.features.extraction import extract
from guidance_bench.features.kept import FeatureMaker, KeptFeatures
from guidance_bench.storage.image_sets import ArrayImages, open_images
from guidance_bench.storage.sample_store import Shard


def files(folder):
    return sorted(folder.glob("features/*/*.safetensors"))


def test_another_metric_and_another_program_cost_no_pass(tmp_path, monkeypatch):
    fake = install(monkeypatch)
    fill(tmp_path, shape=(8, 8, 3))
    monkeypatch.chdir(tmp_path)
    np.savez("real.npz", pictures(2, 40))
    first = evaluate(".", "real.npz", ["fid", "sfid"])
    assert fake.images == 65 and [f.name for f in files(tmp_path)][2] == "00000020-00000025.safetensors"
    fake.images = 0
    second = evaluate(".", "real.npz", ["fid", "sfid", "precision_recall"])
    assert fake.images == 40  # the reference's alone
    assert [second.metrics[m].mean for m in ("fid", "sfid")] == [first.metrics[m].mean for m in ("fid", "sfid")]
    assert second.samples == first.samples


def test_kept_features_are_those_of_one_pass(tmp_path):
    store, fake = fill(tmp_path, shape=(8, 8, 3)), FakeInception()
    source = open_images(tmp_path)
    plain = extract(source, [fake], ["features", "spatial"])
    for _ in range(2):
        kept = extract(source, [fake], ["features", "spatial"], 4, source.features, source.block)
        for name in ("features", "spatial"):
            assert np.array_equal(kept.array(name), plain.array(name))
    evaluator = Evaluator("inception", FeatureMaker([fake], ["features"]), plain, {})
    fake.images = 0
    keep_features(evaluator, store)
    seen = read_once(evaluator, store)
    assert fake.images == 0 and seen.digest == store.digest() and seen.features.names == ["features", "labels"]
    assert np.array_equal(seen.features.array("features"), plain.array("features"))


@pytest.mark.parametrize("place", [20, 300, -1])
def test_a_damaged_file_is_made_again_and_no_other(tmp_path, place):
    store, fake = fill(tmp_path, shape=(8, 8, 3)), FakeInception()
    evaluator = Evaluator("inception", FeatureMaker([fake]), None, {})
    whole = read_once(evaluator, store).features
    flip(files(tmp_path)[1], place)
    fake.images = 0
    assert np.array_equal(read_once(evaluator, store).features.array("features"), whole.array("features"))
    assert fake.images == 10


def test_a_stop_loses_no_finished_block(tmp_path):
    store, fake = fill(tmp_path, shape=(8, 8, 3)), FakeInception()
    evaluator = Evaluator("inception", FeatureMaker([fake]), None, {})
    keep_features(evaluator, store)
    files(tmp_path)[2].unlink()
    fake.images = 0
    keep_features(evaluator, store)
    assert fake.images == 5


def test_other_images_another_network_and_another_block_have_their_own(tmp_path):
    fake, images = FakeInception(), pictures(0, 10)
    kept = KeptFeatures(FeatureMaker([fake]), tmp_path)
    first = kept.features(0, images)["features"]
    changed = images.copy()
    changed[3, 0, 0, 0] ^= 255
    assert not np.array_equal(kept.features(0, changed)["features"], first) and fake.images == 20
    kept.path(0, 0, 10).rename(kept.path(0, 10, 20))
    other = pictures(1, 10)
    assert np.array_equal(kept.features(10, other)["features"], fake(other)["features"])
    fake.identity = lambda: {"network": "other"}
    another = KeptFeatures(FeatureMaker([fake]), tmp_path)
    assert another.path(0, 10, 20).parent != kept.path(0, 10, 20).parent and not another.has(10, 20)


def test_grey_stores_evaluate_as_grey_repeated(tmp_path, monkeypatch):
    install(monkeypatch)
    store = fill(tmp_path / "grey", shape=(8, 8, 1))
    images = np.concatenate([s.images for s in store])
    real = ArrayImages(pictures(2, 40))
    values = [
        evaluate(s, real, ["fid"]).metrics["fid"].mean for s in (tmp_path / "grey", ArrayImages(images.repeat(3, -1)))
    ]
    assert values[0] == values[1]
    with pytest.raises(UserError, match="images have 4 channels: metrics are of grey or RGB"):
        FeatureMaker([FakeInception()])(np.zeros((2, 8, 8, 4), np.uint8))


def test_shards_of_two_sizes_are_a_sentence(tmp_path):
    store = fill(tmp_path, count=20, shape=(8, 8, 3))
    store.write(Shard(10, 20, pictures(0, 10, size=6), np.zeros(10, np.int64), COST))
    with pytest.raises(UserError, match=r"holds shards of images of two sizes: \(6, 6, 3\), \(8, 8, 3\)"):
        open_images(tmp_path)


def test_a_kept_file_says_what_it_is_of(tmp_path):
    from safetensors import safe_open

    kept = KeptFeatures(FeatureMaker([FakeInception()]), tmp_path)
    kept.features(0, pictures(0, 4))
    with safe_open(kept.path(0, 0, 4), "np") as file:
        said = file.metadata()
    assert json.loads(said["identity"]) == {"form": 1, "network": "fake"} and len(said["images"]) == 64
