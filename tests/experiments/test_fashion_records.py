"""The committed study of real images: nothing is repeated, everything is checked."""

from __future__ import annotations

import shlex

import numpy as np
import pandas as pd
import pytest
from guidance_bench.benchmarks.fashion_mnist import HERE
from guidance_bench.benchmarks.fashion_mnist.grids import STRENGTHS, TUNED

import guidance_bench as gb
from guidance_bench.cli.experiments.words import check_at_once
from guidance_bench.core.identity import canonical
from guidance_bench.experiments.records import committed_results, read_records, to_frame
from guidance_bench.leaderboard.collection import boards_of
from guidance_bench.leaderboard.publish import aggregate, best
from guidance_bench.storage.files import read_json, sha256_of
from guidance_bench.storage.image_files import read_sheet

NAMES = ("fashion_mnist_tune", "fashion_mnist")
COLUMNS = {
    "fashion_mnist_tune": {"fid", "sfid", "precision", "recall"},
    "fashion_mnist": {"fid", "sfid", "kid", "precision", "recall", "fid_infinity"},
}


@pytest.mark.parametrize("name", NAMES)
def test_every_record_is_of_this_protocol_these_networks_and_this_reference(name):
    folder = committed_results() / name
    records = read_records(folder)  # checks schema, seal and run id
    benchmark = gb.BENCHMARKS.create(name)
    asked = {canonical([s.method, s.create().identity()]) for s in benchmark.line_up()}
    files = {file.stem for file in (folder / "records").glob("*.json")}
    assert {file.partition("-")[0] for file in files} == {r["run_id"] for r in records} and len(files) == len(records)
    settings = {canonical([r["spec"]["method"], r["spec"]["seed"]]) for r in records}
    assert len(settings) == len(asked) * len(benchmark.seeds)  # the whole line-up
    assert to_frame(records)["protocol"].nunique() == 1
    for record in records:
        spec = record["spec"]
        assert spec["seed"] in benchmark.seeds and spec["samples"] == benchmark.samples
        assert name == "fashion_mnist" or canonical([spec["method"]["name"], spec["method"]["parameters"]]) in asked
        for network in ("main", "weak"):
            assert spec["networks"][network]["sha256"] == sha256_of(HERE / f"{network}.safetensors")
            assert record["networks"][network]["sha256"] == spec["networks"][network]["sha256"]
        reference = {k: v for k, v in read_json(HERE / "reference.json").items() if k != "seal"}
        assert record["evaluator"]["reference"] == reference
        assert reference["sha256"] == sha256_of(HERE / "reference.safetensors")
        assert record["evaluator"]["networks"][0]["weights_sha256"] == reference["network"]["weights_sha256"]
        assert set(record["metrics"]) == COLUMNS[name]
        assert record["environment"]["dirty"] is False
        check_at_once(shlex.split(record["command"])[2:])
        assert f"benchmark={name}" in record["command"] and f"seed={spec['seed']}" in record["command"]


@pytest.mark.parametrize("name", NAMES)
def test_the_table_and_the_grids_are_those_of_the_records(name):
    folder = committed_results() / name
    told = pd.read_csv(folder / "leaderboard.csv")
    settings = aggregate(gb.load_results(folder))
    assert sorted(told["run_ids"]) == sorted(" ".join(ids) for ids in settings["run_ids"])
    columns = sorted(COLUMNS[name])
    told, settings = (f.sort_values(columns).reset_index(drop=True)[columns] for f in (told, settings))
    np.testing.assert_allclose(told, settings, rtol=1e-12)
    shown = best(aggregate(gb.load_results(folder)), "fid")
    kept = {file.stem for file in (folder / "previews").glob("*.png")}
    assert all(kept & set(row["run_ids"]) for _, row in shown.iterrows())
    for file in (*kept,):
        images = read_sheet(folder / "previews" / f"{file}.png")
        assert images.shape == (40, 28, 28, 1)
    assert {f"samples_{method}.png" for method in shown["method"]} <= {f.name for f in (folder / "figures").iterdir()}


def test_the_reported_settings_are_the_best_on_the_tuning_seed():
    chosen = best(aggregate(gb.load_results(committed_results() / "fashion_mnist_tune")), "fid")
    whole = chosen[chosen["settings"] == len(STRENGTHS)]
    found = {row["method"]: row["parameters"] for _, row in whole.iterrows()}
    said = {method: gb.METHODS.create(method, **parameters).identity() for method, parameters in TUNED.items()}
    assert said == found
    assert [(s.method, s.parameters) for s in gb.BENCHMARKS.create("fashion_mnist").line_up()[1:]] == list(
        TUNED.items()
    )


def test_a_run_made_on_a_cpu_and_on_a_gpu_agrees():
    """Equal networks, noise and reference; float32 on both. FID hangs on the samples' last bits through Inception."""
    frame = gb.load_results(committed_results() / "fashion_mnist_tune")
    pairs = [group for _, group in frame.groupby("run_id") if len(group) == 2]
    assert len(pairs) == 20 and all(pair["device"].nunique() == 2 for pair in pairs)
    for pair in pairs:
        one, other = pair["fid"]
        assert 0 < abs(one - other) < 1e-4 * one
        assert pair["precision"].nunique() == 1 and np.ptp(pair["recall"]) <= 1 / 2500 + 1e-12


def test_what_the_page_says_of_the_report_is_so():
    """The conclusions of benchmarks/fashion_mnist/README.md."""
    (table,) = boards_of(committed_results() / "fashion_mnist")
    rows = table.best.set_index("method")
    assert rows["fid"].idxmin() == "autoguidance" and rows["ties"]["autoguidance"] == "a"
    assert rows["ties"].str.contains("a").sum() == 1
    assert rows["cost.nfe"]["autoguidance"] / rows["cost.nfe"]["none"] == pytest.approx(1.2, abs=0.05)
    assert not set(rows["ties"]["fdg"]) & set(rows["ties"]["cfg"]) and rows["fid"]["fdg"] < rows["fid"]["cfg"]
    free = rows[rows["cost.nfe"] == rows["cost.nfe"]["none"]].drop("none")
    gains = free.index[free["fid"] < rows["fid"]["none"]]
    assert list(gains) == ["ig"] and not set(rows["ties"]["ig"]) & set(rows["ties"]["none"])
    assert rows["fid"]["ig_cfg"] > rows["fid"]["cfg"]
    assert min(rows["recall"]["ig"], rows["recall"]["autoguidance"]) > rows["recall"]["none"] > rows["recall"]["cfg"]
    frame = gb.load_results(committed_results() / "fashion_mnist")
    seeds = frame.pivot_table(index="seed", columns="method", values="fid")
    assert (seeds["ig"] < seeds["none"]).all() and len(seeds) == 3


def test_what_the_page_says_of_equal_strength_is_so():
    page = " ".join((HERE / "README.md").read_text(encoding="utf-8").split())
    (table,) = boards_of(committed_results() / "fashion_mnist_tune")
    rows = table.best.set_index("method")
    names = {"autoguidance": "autoguidance", "slg": "skip-layer guidance", "ig": "Internal Guidance"}
    for method in ("autoguidance", "slg", "seg", "pag", "fdg", "icg", "ig"):
        words = names.get(method, f"`{method}`")
        w_e = f"w_e {rows['strength'][method]:.2f}" if method == "autoguidance" else f"{rows['strength'][method]:.2f}"
        assert f"{words} +{rows['over_cfg'][method]:.0f} % ({w_e})" in page
    assert 2 * rows["cost.nfe"]["ig"] == rows["cost.nfe"]["cfg"]
    (reported,) = boards_of(committed_results() / "fashion_mnist")
    assert reported.best["strength"].notna().all() and reported.best["over_cfg"].isna().all()
    near = abs(reported.best.set_index("method")["strength"] / rows["strength"] - 1)
    assert near.max() < 0.05  # the same networks; other noise


def test_what_the_page_says_of_the_tuning_is_so():
    frame = gb.load_results(committed_results() / "fashion_mnist_tune").sort_values("time").groupby("run_id").tail(1)
    fid = frame.set_index("method")["fid"]
    for method in ("momentum", "sg_prev"):
        assert len(fid[method]) == 4 and fid[method].min() > fid["none"]
    (table,) = boards_of(committed_results() / "fashion_mnist")
    both = table.best.set_index("method")["fid"].to_frame("reported").assign(tuned=fid.groupby(level=0).min())
    assert both.corr("spearman").loc["reported", "tuned"] > 0.9
