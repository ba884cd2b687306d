"""References: ADM's keys are believed, images are used for precision and recall alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from fake_features import FakeInception, pictures
from PIL import Image

from guidance_bench.core.errors import UserError
from guidance_bench.evaluation.reference import load_reference, save_reference
from guidance_bench.features.extraction import extract
from guidance_bench.features.feature_set import FeatureSet
from guidance_bench.metrics import feature_statistics, frechet_distance
from guidance_bench.metrics.base import METRICS
from guidance_bench.storage.files import sha256_of

NAMES = ("features", "spatial")


class Maker:
    """Makes features with the fake network, and remembers what it was asked for."""

    def __init__(self):
        self.asked = []
        self.network = FakeInception()

    def __call__(self, source, names):
        self.asked.append((source.title, tuple(names)))
        return extract(source, [self.network], names, 4)


@pytest.fixture
def adm():
    """Statistics that do not belong to the images beside them, as in ADM's files."""
    rng = np.random.default_rng(0)
    arrays = {"arr_0": pictures(1, 20)}
    for suffix, d in {"": 12, "_s": 4}.items():
        statistics = feature_statistics(rng.standard_normal((50, d)) * 10 + 100)
        arrays |= {f"mu{suffix}": statistics.mean, f"sigma{suffix}": statistics.cov}
    return arrays


def saved(tmp_path, arrays):
    np.savez(tmp_path / "reference.npz", **arrays)
    return tmp_path / "reference.npz"


def test_statistics_are_the_keys_and_not_of_the_images(tmp_path, adm):
    make = Maker()
    reference = load_reference(saved(tmp_path, adm), NAMES, make).features
    samples = make.network(pictures(2, 30))
    samples = FeatureSet(samples, space="inception")
    for metric, feature, suffix in (("fid", "features", ""), ("sfid", "spatial", "_s")):
        expected = frechet_distance(adm[f"mu{suffix}"], adm[f"sigma{suffix}"], *samples.statistics(feature))
        assert METRICS.create(metric).compute(reference, samples)[metric] == expected
        of_images = feature_statistics(make.network(adm["arr_0"])[feature])
        assert abs(frechet_distance(*of_images, *samples.statistics(feature)) - expected) > 0.1 * expected
    assert make.asked == []


def test_images_serve_precision_and_recall_when_asked(tmp_path, adm):
    make = Maker()
    reference = load_reference(saved(tmp_path, adm), NAMES, make).features
    expected = make.network(adm["arr_0"])["features"]
    assert np.array_equal(reference.array("features"), expected)
    assert np.array_equal(reference.array("features"), expected)
    assert [names for _, names in make.asked] == [("features",)]
    assert reference.statistics("features").mean is not None
    assert np.array_equal(reference.statistics("features").mean, adm["mu"])


def test_float32_statistics(tmp_path, adm):
    single = {k: v if k == "arr_0" else v.astype(np.float32) for k, v in adm.items()}
    reference = load_reference(saved(tmp_path, single), NAMES, Maker()).features
    values = [frechet_distance(*reference.statistics("features"), adm["mu"] + 1, adm["sigma"])]
    values.append(frechet_distance(adm["mu"], adm["sigma"], adm["mu"] + 1, adm["sigma"]))
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_without_images_precision_and_recall_are_refused(tmp_path, adm):
    del adm["arr_0"]
    reference = load_reference(saved(tmp_path, adm), NAMES, Maker()).features
    samples = FeatureSet({"features": np.zeros((9, 12))}, space="inception")
    with pytest.raises(UserError, match=r"reference\.npz' has no 'features': it holds no images \(arr_0\)"):
        METRICS.create("precision_recall").compute(reference, samples)


def test_spatial_statistics_are_not_made_up(tmp_path, adm):
    del adm["mu_s"], adm["sigma_s"]
    reference = load_reference(saved(tmp_path, adm), NAMES, Maker()).features
    with pytest.raises(UserError, match="no statistics of 'spatial': it holds no mu_s and sigma_s"):
        reference.statistics("spatial")


def test_mean_without_covariance(tmp_path, adm):
    del adm["sigma_s"]
    with pytest.raises(UserError, match=r"reference\.npz' has 'mu_s' but no 'sigma_s'"):
        load_reference(saved(tmp_path, adm), NAMES, Maker())


def test_identity_names_the_bytes(tmp_path, adm):
    file = saved(tmp_path, adm)
    identity = load_reference(file, NAMES, Maker()).identity
    assert identity["sha256"] == sha256_of(file)
    assert identity["keys"] == ["arr_0", "mu", "mu_s", "sigma", "sigma_s"]


def test_images_alone(tmp_path):
    images = pictures(3, 20)
    np.savez(tmp_path / "images.npz", images)
    (tmp_path / "folder").mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"folder/{i:02}.png")
    make = Maker()
    found = [load_reference(tmp_path / name, NAMES, make) for name in ("images.npz", "folder")]
    expected = feature_statistics(make.network(images)["features"])
    for reference in found:
        assert np.allclose(reference.features.statistics("features").cov, expected.cov, rtol=1e-12)
    assert found[0].identity["sha256"] == found[1].identity["sha256"]


def test_own_file_keeps_everything(tmp_path):
    make = Maker()
    np.savez(tmp_path / "images.npz", pictures(4, 20))
    made = load_reference(tmp_path / "images.npz", NAMES, make).features
    file = tmp_path / "own.npz"
    digest = save_reference(file, made, {"images": "twenty random ones"})
    read = load_reference(file, NAMES, make)
    assert digest == sha256_of(file) == read.identity["sha256"]
    assert read.identity["provenance"] == {"images": "twenty random ones", "space": "inception"}
    for name in NAMES:
        assert np.array_equal(read.features.statistics(name).cov, made.statistics(name).cov)
    assert np.array_equal(read.features.array("features"), made.array("features"))
    assert len(make.asked) == 1


def test_own_file_keeps_part_of_many_features_and_statistics_of_all(tmp_path, monkeypatch):
    monkeypatch.setattr("guidance_bench.evaluation.reference.KEPT", 7)
    rows = np.random.default_rng(5).standard_normal((20, 3))
    save_reference(tmp_path / "own.npz", FeatureSet({"features": rows, "dinov2": rows * 2}, space="x"), {})
    read = load_reference(tmp_path / "own.npz", NAMES, Maker()).features
    assert read.space == "x"
    assert np.array_equal(read.array("features"), rows[[0, 3, 6, 10, 13, 16, 19]])  # not the first: files lie by class
    assert np.array_equal(read.statistics("features").cov, feature_statistics(rows).cov)
    assert np.array_equal(read.statistics("dinov2").cov, feature_statistics(rows * 2).cov)


def test_provenance_is_text_and_no_pickle(tmp_path):
    save_reference(tmp_path / "own.npz", FeatureSet({"features": np.eye(3)}), {"a": 1})
    with np.load(tmp_path / "own.npz", allow_pickle=False) as contents:
        assert json.loads(str(contents["provenance"])) == {"a": 1, "space": ""}


@pytest.mark.parametrize("kept", [0.3, 0.95])
def test_truncated_file(tmp_path, adm, kept):
    file = saved(tmp_path, adm)
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * kept)])
    with pytest.raises(UserError, match=r"reference\.npz' is no \.npz file, or a truncated one"):
        load_reference(file, NAMES, Maker())


def test_pickled_contents_are_refused(tmp_path, adm):
    file = saved(tmp_path, adm | {"mu": np.array([{}], dtype=object)})
    with pytest.raises(UserError, match=r"reference\.npz': 'mu' cannot be read"):
        load_reference(file, NAMES, Maker())


def test_save_refuses_another_suffix(tmp_path):
    with pytest.raises(UserError, match=r"ends in \.npz"):
        save_reference(tmp_path / "own.txt", FeatureSet({"features": np.eye(3)}), {})
