"""The evaluate command: its numbers, its table and record, and one line for every mistake."""

from __future__ import annotations

import json

import numpy as np
import pytest
from fake_features import install, pictures
from inception_weights import real, torch_fidelity_network, write_random
from PIL import Image

from guidance_bench.cli.experiments.evaluate import run_evaluate, table
from guidance_bench.cli.main import main
from guidance_bench.core.errors import UserError
from guidance_bench.evaluation.evaluate import evaluate
from guidance_bench.features.inception_weights import find_packaged
from guidance_bench.metrics import feature_statistics, frechet_distance, precision_recall
from guidance_bench.storage.image_sets import ArrayImages


@pytest.fixture
def paths(tmp_path, monkeypatch):
    """Two draws of samples, a reference of images, and ADM's kind of reference; the working folder is fresh."""
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", pictures(0, 30, high=200))
    np.savez("b.npz", pictures(1, 30, high=200))
    np.savez("real.npz", pictures(2, 40))
    return tmp_path


@pytest.fixture
def fake(monkeypatch):
    return install(monkeypatch)


def features(network, seed, n, high=256):
    return network(pictures(seed, n, high=high))["features"]


def test_metrics_are_those_of_the_features(paths, fake):
    result = evaluate("a.npz", "real.npz", ["fid", "precision_recall"])
    real_features, made = features(fake, 2, 40), features(fake, 0, 30, 200)
    expected = frechet_distance(*feature_statistics(real_features), *feature_statistics(made))
    assert result.metrics["fid"].values == (pytest.approx(expected, rel=1e-12),)
    assert (result.metrics["precision"].mean, result.metrics["recall"].mean) == precision_recall(real_features, made)
    assert result.samples[0]["count"] == 30 and result.samples[0]["size"] == [8, 8, 3]


def test_batch_size_and_container_do_not_matter(paths, fake):
    for i, image in enumerate(pictures(0, 30, high=200)):
        (paths / "a").mkdir(exist_ok=True)
        Image.fromarray(image).save(paths / f"a/{i:02}.png")
    ways = [
        evaluate("a.npz", "real.npz", ["fid"]),
        evaluate("a", "real.npz", ["fid"], batch_size=7),
        evaluate(ArrayImages(pictures(0, 30, high=200)), "real.npz", ["fid"]),
    ]
    assert len({way.metrics["fid"].mean for way in ways}) == 1
    assert len({way.samples[0]["sha256"] for way in ways}) == 1


def test_default_metrics_say_what_they_need(paths, fake):
    result = evaluate("a.npz", "real.npz")
    assert list(result.metrics) == ["fid", "sfid", "precision", "recall"]
    assert result.skipped == {"inception_score": "the weights 'fake.pth' have no classifier"}
    with pytest.raises(UserError, match="inception_score: the weights 'fake.pth' have no classifier"):
        evaluate("a.npz", "real.npz", ["fid", "inception_score"])


def test_with_a_classifier_all_five(paths, monkeypatch):
    install(monkeypatch, logits=True)
    result = evaluate("a.npz", "real.npz")
    assert list(result.metrics) == ["fid", "sfid", "inception_score", "precision", "recall"]
    assert not result.skipped


def test_a_metric_that_cannot_be_had_is_known_before_the_samples_are_read(paths, fake):
    statistics = feature_statistics(features(fake, 2, 40))
    np.savez("adm.npz", mu=statistics.mean, sigma=statistics.cov)
    fake.images = 0
    with pytest.raises(UserError, match=r"precision_recall: 'adm\.npz' has no features 'features': it holds no images"):
        evaluate("a.npz", "adm.npz", ["precision_recall"])
    assert fake.images == 0
    assert list(evaluate("a.npz", "adm.npz").skipped) == ["sfid", "inception_score", "precision_recall"]


def test_other_weights_give_no_fid(paths, fake):
    fake.space = "inception-0123456789ab"
    with pytest.raises(UserError, match=r"fid: 'fake\.pth' is not the network that the metric is defined on"):
        evaluate("a.npz", "real.npz", ["fid"])
    assert evaluate("a.npz", "real.npz", ["frechet_distance"]).metrics["frechet_distance"].mean > 0


def test_several_draws(paths, fake):
    single = [evaluate(name, "real.npz", ["fid"]).metrics["fid"].mean for name in ("a.npz", "b.npz")]
    both = evaluate(["a.npz", "b.npz", "a.npz"], "real.npz", ["fid"]).metrics["fid"]
    assert both.values == (single[0], single[1], single[0])
    assert both.mean == pytest.approx(np.mean(both.values))
    assert both.minimum_of_three == min(single)


def test_jackknife(paths, fake):
    result = evaluate("a.npz", "real.npz", ["fid", "precision_recall"], jackknife=5)
    assert sorted(result.jackknife) == ["fid", "precision", "recall"]
    assert 0 < result.jackknife["fid"].error < result.metrics["fid"].mean
    assert "± " in table(result)


def test_kept_reference_gives_the_same(paths, fake):
    metrics = ["fid", "sfid", "precision_recall"]
    first = evaluate("a.npz", "real.npz", metrics, keep_reference="own.npz")
    fake.images = 0
    second = evaluate("a.npz", "own.npz", metrics)
    assert fake.images == 30
    assert {k: v.mean for k, v in second.metrics.items()} == {k: v.mean for k, v in first.metrics.items()}
    made_from = second.evaluator["reference"]["provenance"]["made_from"]
    assert made_from["sha256"] == first.evaluator["reference"]["sha256"]


def test_command_prints_a_table_and_writes_a_record(paths, fake, capsys):
    status = main(
        ["evaluate", "a.npz", "b.npz", "reference=real.npz", "precision_recall.k=2", "output=out/record.json"]
    )
    printed = capsys.readouterr()
    assert status == 0
    lines = printed.out.splitlines()
    assert lines[0].startswith("FID ↓") and "sd of 2 draws" in lines[0]
    assert max(map(len, lines)) <= 80
    record = json.loads((paths / "out/record.json").read_text())
    assert record["metrics"]["fid"]["mean"] == evaluate(["a.npz", "b.npz"], "real.npz").metrics["fid"].mean
    evaluator = record["evaluator"]
    assert evaluator["metrics"]["precision_recall"]["parameters"] == {"k": 2, "mode": "fp32"}
    assert evaluator["networks"] == [{"network": "fake"}]
    assert len(evaluator["reference"]["sha256"]) == 64
    assert [len(s["sha256"]) for s in record["samples"]] == [64, 64]


def test_record_is_named_by_what_it_holds(paths, fake, capsys):
    (paths / "copies").mkdir()
    for name in ("a.npz", "real.npz"):
        (paths / "copies" / name).write_bytes((paths / name).read_bytes())
    assert main(["evaluate", "copies/a.npz", "reference=copies/real.npz", "batch_size=5"]) == 0
    for arguments in (["a.npz"], ["b.npz"], ["a.npz", "kid.subset_size=20", "metrics=kid"]):
        assert main(["evaluate", *arguments, "reference=real.npz"]) == 0
    assert len(list((paths / "outputs/evaluations").glob("*.json"))) == 3


PLUGIN = """
from guidance_bench import Metric, register_metric

@register_metric("brightness_gap")
class BrightnessGap(Metric):
    scale: float = 2.0
    title = "Brightness gap"
    summary = "difference of mean features"

    def compute(self, reference, samples):
        means = [s.array("features").mean() for s in (reference, samples)]
        return {self.name: self.scale * abs(float(means[0] - means[1]))}
"""


def test_metric_of_the_users_own_file(paths, fake, capsys):
    (paths / "mine.py").write_text(PLUGIN)
    assert main(["evaluate", "a.npz", "reference=real.npz", "metrics=fid,mine.py", "output=r.json"]) == 0
    record = json.loads((paths / "r.json").read_text())
    expected = 2 * abs(features(fake, 2, 40).mean() - features(fake, 0, 30, 200).mean())
    assert record["metrics"]["brightness_gap"]["mean"] == pytest.approx(expected, rel=1e-5)
    assert len(record["evaluator"]["metrics"]["brightness_gap"]["plugin_sha256"]) == 64
    assert "Brightness gap ↓" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.npz", "reference=real.npz"], "'gone.npz' does not exist"),
        (["a.npz", "reference=gone.npz"], "'gone.npz' does not exist"),
        (["a.npz"], "evaluate needs reference=FILE"),
        (["reference=real.npz"], "evaluate needs SAMPLES"),
        (["a.npz", "refrence=real.npz"], "unknown option 'refrence'"),
        (["a.npz", "reference=real.npz", "metrics=fdi"], "unknown metric 'fdi'"),
        (["a.npz", "reference=real.npz", "metrics="], "names no metric"),
        (["a.npz", "reference=real.npz", "batch_size=0"], "batch_size='0'"),
        (["a.npz", "reference=real.npz", "metrics=kid", "kid.subset=3"], "metric 'kid' has no parameter 'subset'"),
        (["a.npz", "reference=real.npz", "kid.subset_size=3"], "parameters are given for 'kid', which is not among"),
        (["a.npz", "reference=real.npz", "metrics=kid"], "subset_size=1000"),
        (["a.npz", "reference=real.npz", "device=abacus"], "device='abacus'"),
        (["float.npz", "reference=real.npz"], "float.npz' holds float32"),
        (["cut.npz", "reference=real.npz"], "cut.npz' is no .npz file, or a truncated one"),
        (["a.npz", "reference=cut.npz"], "cut.npz' is no .npz file, or a truncated one"),
        (["broken", "reference=real.npz"], "broken/b.png' cannot be decoded"),
        (["one.npz", "reference=real.npz"], "one.npz' holds 1 images; at least 2"),
        (["a.npz", "reference=real.npz", "metrics=label_accuracy"], "no network makes the feature 'labels'"),
    ],
)
def test_mistakes_get_one_line_and_status_2(paths, fake, capsys, arguments, message):
    np.savez("float.npz", pictures(0, 4) / np.float32(255))
    np.savez("one.npz", pictures(0, 1))
    (paths / "cut.npz").write_bytes((paths / "a.npz").read_bytes()[:500])
    (paths / "broken").mkdir()
    Image.fromarray(pictures(0, 1)[0]).save("broken/a.png")
    (paths / "broken/b.png").write_bytes(b"\x89PNG nothing")
    assert main(["evaluate", *arguments]) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("guidance-bench:")]
    assert len(error) == 1 and message in error[0]


def test_wrong_weights_are_named(paths, capsys):
    (paths / "wrong.pth").write_bytes(b"weights?")
    assert main(["evaluate", "a.npz", "reference=real.npz", "weights=wrong.pth"]) == 2
    assert "'wrong.pth' are not usable" in capsys.readouterr().err


def crops(photograph, seed, n, size=64):
    """Random crops of one of scikit-learn's photographs, (n, size, size, 3) uint8."""
    from sklearn.datasets import load_sample_image

    image, rng = load_sample_image(photograph), np.random.default_rng(seed)
    corners = zip(*(rng.integers(0, extent - size, n) for extent in image.shape[:2]), strict=True)
    return np.stack([image[y : y + size, x : x + size] for y, x in corners])


@real
@pytest.mark.slow
def test_real_images_agree_with_torch_fidelity(tmp_path, monkeypatch):
    """Crops of two photographs through both programs, each with its own network code, resize and metrics."""
    import torch
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import calculate_precision_recall_full

    monkeypatch.chdir(tmp_path)
    sets = {
        "real": crops("china.jpg", 0, 48),
        "made": np.concatenate([crops("china.jpg", 1, 24), crops("flower.jpg", 2, 16)]),
    }
    for name, images in sets.items():
        (tmp_path / name).mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image).save(f"{name}/{i:03}.png")
    result = run_evaluate(
        ["made"],
        "real",
        metrics=["fid", "kid", "precision_recall"],
        parameters={"kid": {"subset_size": 30, "subsets": 20}},
        weights=str(find_packaged()),
    )
    network = torch_fidelity_with_packaged_weights(tmp_path)
    real_features, made = (
        torch.cat([network(torch.from_numpy(x).permute(0, 3, 1, 2))[0] for x in np.array_split(sets[name], 4)])
        for name in ("real", "made")
    )
    statistics = [fid_features_to_statistics(x) for x in (made, real_features)]
    kid = kid_features_to_metric(made, real_features, kid_subset_size=30, kid_subsets=20, verbose=False, rng_seed=2020)
    expected = {
        "fid": fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"],
        "kid": kid["kernel_inception_distance_mean"],
    }
    expected["precision"], expected["recall"] = calculate_precision_recall_full(made, real_features, 3)
    assert 0.1 < expected["precision"] < 0.9 and 0.1 < expected["recall"] < 1
    for name, value in expected.items():
        assert result.metrics[name].mean == pytest.approx(value, rel=1e-4), name


def torch_fidelity_with_packaged_weights(folder):
    """torch-fidelity's extractor with the TorchScript file's weights, matched by the order of the layers."""
    import torch

    state = torch.load(write_random(folder / "weights.pth"), weights_only=True)
    script = torch.jit.load(str(find_packaged())).state_dict()
    names = [name.removesuffix(".conv.weight") for name in state if name.endswith(".conv.weight")]
    tensors = iter(script.values())
    for name in names:
        for key in ("conv.weight", "bn.bias", "bn.running_mean", "bn.running_var"):
            state[f"{name}.{key}"] = next(tensors)
        state[f"{name}.bn.weight"] = torch.ones_like(state[f"{name}.bn.bias"])
    torch.save(state, folder / "weights.pth")
    return torch_fidelity_network(folder / "weights.pth", ["2048"])
