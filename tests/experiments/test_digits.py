"""The digits benchmarks: protocol, data, line-up and the pinned classifier."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from guidance_bench.benchmarks.digits import classifier as digits_classifier
from guidance_bench.benchmarks.digits.classifier import load_classifier
from guidance_bench.benchmarks.digits.data import dataset, load_images, to_images, to_latents
from guidance_bench.benchmarks.digits.grids import PILOT_BEST, SWEEPS, WIDE
from guidance_bench.benchmarks.digits.make import make_classifier
from guidance_bench.benchmarks.shared.own_files import read_own
from safetensors.torch import load_file

import guidance_bench as gb
from guidance_bench.core.identity import canonical
from guidance_bench.experiments.records import committed_results
from guidance_bench.experiments.specification import protocol_of
from guidance_bench.leaderboard.protocol_tables import tables
from guidance_bench.training.sources import digits as digits_source


def test_the_data_are_scikit_learns_1797_digits_and_survive_the_round_trip():
    images, labels = load_images()
    assert images.shape == (1797, 8, 8, 1) and images.dtype == np.uint8 and images.max() == 255
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    assert digest == "0b7e9c3202d7bcd2" + digest[16:] and dataset().name == f"digits@{digest[:16]}"
    assert np.array_equal(to_images(to_latents(images)), images)


@pytest.mark.slow  # imports scikit-learn
def test_the_data_are_the_same_where_scikit_learn_keeps_them_elsewhere(monkeypatch):
    rows = digits_source._rows()
    monkeypatch.setattr(digits_source, "find_spec", lambda name: None)
    assert np.array_equal(digits_source._rows(), rows) and rows.shape == (1797, 65)


def test_pixels_become_uint8_by_the_documented_rule():
    values = torch.tensor([-2.0, -1.0, -1.0 / 255, 0.0, 126.99 / 127.5, 1.0, 2.0]).view(1, 1, 1, -1)
    assert to_images(values).ravel().tolist() == [0, 0, 127, 128, 254, 255, 255]


@pytest.mark.parametrize("name", ["digits", "digits_full", "digits_pilot", "digits_methods"])
def test_every_method_has_the_same_number_of_settings_and_all_are_valid(name):
    benchmark = gb.BENCHMARKS.create(name)
    counts: dict[str, int] = {}
    for setting in benchmark.line_up():
        counts[setting.method] = counts.get(setting.method, 0) + 1
        assert setting.create().name == setting.method
    assert counts.pop("none") == 1
    assert len(set(counts.values())) == 1
    assert {"cfg", "autoguidance", "ig", "ig_cfg"} <= set(counts)


def test_digits_methods_compares_our_methods_and_the_page_names_those_that_came_later():
    ours = {n for n in gb.METHODS.names() if gb.METHODS.entry(n).source == "built in"}
    compared = {s.method for s in gb.BENCHMARKS.create("digits_methods").line_up()}
    page = (Path(gb.METHODS.entry("none").file).parent / "README.md").read_text(encoding="utf-8")
    later = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `") and "not in the study" in line}
    assert compared | later == ours and not compared & later


def test_the_committed_study_is_this_protocol_and_shows_internal_guidances_gain_on_every_seed():
    frame = gb.load_results()
    frame = frame[frame["benchmark"] == "digits_full"]
    assert frame["protocol"].nunique() == 1 and len(frame) == 63
    benchmark = gb.BENCHMARKS.create("digits_full")
    protocol = protocol_of({"networks": benchmark.recipes(0)})
    assert frame["networks"].iloc[0] == protocol["networks"]
    best = frame.groupby(["seed", "method"])["frechet_distance_digits_cnn"].min().unstack()
    assert sorted(best.index) == [0, 1, 2]
    assert (best["ig"] <= 0.9 * best["none"]).all(), best


FD = "frechet_distance_digits_cnn"


def committed(name: str, steps: int | None = None):
    """The project's records of a benchmark by what they computed: (method, parameters, seed) to the distance; those of
    one length of training where there are several."""
    frame = gb.load_results(committed_results() / name)
    if steps:
        frame = frame[[networks["main"]["steps"] == steps for networks in frame["networks"]]]
    assert set(frame["benchmark"]) == {name} and frame["protocol"].nunique() == 1
    keys = zip(frame["method"], frame["parameters"].map(canonical), frame["seed"], strict=True)
    return dict(zip(keys, frame[FD], strict=True))


def asked(name: str):
    """What the benchmark's line-up asks for, in the same form."""
    benchmark = gb.BENCHMARKS.create(name)
    return {(s.method, canonical(s.create().identity()), seed) for s in benchmark.line_up() for seed in benchmark.seeds}


@pytest.mark.parametrize("name", ["digits_full", "digits_pilot", "digits_methods", "digits_intervals"])
def test_the_committed_records_are_the_whole_line_up_and_nothing_else(name):
    assert set(committed(name)) == asked(name)


def test_the_committed_trainings_are_all_lengths_with_the_whole_line_up():
    lengths = gb.BENCHMARKS.create("digits_convergence").lengths
    for steps in lengths:
        assert set(committed("digits_convergence", steps)) == asked("digits_convergence")
    assert len(gb.load_results(committed_results() / "digits_convergence")) == 10 * len(lengths)


def methods_page() -> str:
    page = Path(gb.METHODS.entry("none").file).parent / "README.md"
    return " ".join(page.read_text(encoding="utf-8").split())


def test_what_the_page_says_of_intervals_is_so():
    frame = gb.load_results(committed_results() / "digits_intervals")
    keys = ["method", "method.scale", "method.low", "method.high"]
    runs = frame.assign(**{k: frame[k].fillna(-1) for k in keys[1:]}).set_index(keys).sort_index()
    fd, nfe = runs[FD], runs["cost.nfe"]
    for method, strong, mild in (("cfg", 1.3, 1.1), ("ig", 2.2, 1.7)):
        low, high = fd[method, strong].idxmin()
        told = [fd[key] for key in ((method, strong, 0, 1), (method, strong, low, high), (method, mild, 0, 1))]
        assert told[0] > told[2] > told[1]
        words = f"at scale {strong} {told[0]:.2f} at all times, {told[1]:.2f} in {low:g} to {high:g}"
        assert f"{words} (at scale {mild} and all times {told[2]:.2f})" in methods_page()
    assert fd["cfg", 1.3, 0, 1] > fd["none"].item()
    costs = f"{nfe['cfg', 1.3, 0, 0.4]:.0f} evaluations instead of {nfe['cfg', 1.1, 0, 1]:.0f}"
    assert costs in methods_page()


def test_what_the_page_says_of_training_is_so():
    gains = {}
    for table in tables(gb.load_results(committed_results() / "digits_convergence")).values():
        steps = table.settings["networks"].iloc[0]["main"]["steps"]
        gains[steps] = table.best.set_index("method")["gain"].drop("none")
    for steps, own in gains.items():
        assert (own > 0).all() and own.idxmax() == ("autoguidance" if steps == 400 else "ig")
    assert all(gains[900][m] == max(own[m] for own in gains.values()) for m in gains[900].index)
    for steps in (400, 900, 1350):
        words = ", ".join(f"{m} {gains[steps][m]:.0f} %" for m in ("ig", "autoguidance", "cfg"))
        assert f"{steps:,} steps: {words}" in methods_page()


def test_the_study_is_around_what_was_best_in_the_committed_pilot():
    values = committed("digits_pilot")
    for method, sweep in SWEEPS.items():
        settings = sweep.grid(WIDE)
        found = [values[method, canonical(gb.METHODS.create(method, **s).identity()), 100] for s in settings]
        assert PILOT_BEST[method] == WIDE[found.index(min(found))], method


def test_the_study_of_all_methods_has_internal_guidance_ahead_of_every_method_without_it():
    (table,) = tables(gb.load_results(committed_results() / "digits_methods")).values()
    held = table.best.set_index("method")["held_out"]
    others = held.drop(["ig", "ig_cfg"])
    assert max(held["ig"], held["ig_cfg"]) < others.min(), held.sort_values()


def test_the_classifier_comes_with_the_benchmark_and_knows_its_digits(tmp_path, monkeypatch):
    found, known = load_classifier()
    images, labels = load_images()
    features = found.extract(images)
    assert features["features"].shape == (1797, 64)
    accuracy = (features["logits"].argmax(1) == labels).mean()
    assert accuracy > 0.995 and accuracy == pytest.approx(known["training_accuracy"], abs=2e-3)
    for name in ("classifier.json", "classifier.safetensors"):
        (tmp_path / name).write_bytes((digits_classifier.HERE / name).read_bytes())
    (tmp_path / "classifier.safetensors").write_bytes(b"x")
    monkeypatch.setattr(digits_classifier, "HERE", tmp_path)
    with pytest.raises(gb.UserError, match="missing or damaged: install the project again"):
        load_classifier()


@pytest.mark.slow
def test_the_classifier_can_be_made_again_up_to_rounding(tmp_path):
    make_classifier(tmp_path)
    known = read_own(tmp_path / "classifier.json", digits_classifier.PIN)
    assert known["recipe"] == load_classifier()[1]["recipe"]
    again = load_file(tmp_path / "classifier.safetensors")
    images, _ = load_images()
    logits = load_classifier()[0].extract(images)["logits"]
    fresh = digits_classifier.Classifier()
    fresh.load_state_dict(again)
    # Rounding grows over 600 steps, so the two agree on what they say, not digit for digit.
    assert (fresh.eval().extract(images)["logits"].argmax(1) == logits.argmax(1)).mean() > 0.995


def test_the_reference_is_all_digits_in_their_order(tmp_path, monkeypatch):
    """Whatever network makes the features: here the pixels themselves."""

    class Pixels:
        def extract(self, images):
            return {"features": images.reshape(len(images), -1).astype(np.float32)}

    module = sys.modules[type(gb.BENCHMARKS.create("digits")).__module__]
    monkeypatch.setattr(module, "load_classifier", lambda: (Pixels(), {"sha256": "0" * 64, "recipe": {}}))
    images, labels = module.load_images()
    for name in ("digits", "digits_full", "digits_methods"):
        evaluator = gb.BENCHMARKS.create(name).evaluator(tmp_path, torch.device("cpu"))
        assert np.array_equal(evaluator.reference.array("features"), images.reshape(1797, 64).astype(np.float32))
        assert np.array_equal(evaluator.reference.array("labels"), labels)
        assert evaluator.reference.count == 1797 and evaluator.reference.statistics("features").mean.shape == (64,)
    data = gb.BENCHMARKS.create("digits").training_data()
    assert len(data.x) == 1797 and np.array_equal(data.y.numpy(), labels)
