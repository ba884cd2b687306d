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
from guidance_bench.leaderboard.previews import read_preview
from guidance_bench.leaderboard.publish import aggregate, best
from guidance_bench.storage.files import read_json, sha256_of

NAMES = [name for name in ("fashion_mnist_tune", "fashion_mnist") if (committed_results() / name).is_dir()]
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
    assert len({r["run_id"] for r in records}) == len(records) == len(list((folder / "records").glob("*.json")))
    assert to_frame(records)["protocol"].nunique() == 1
    for record in records:
        spec = record["spec"]
        assert (folder / "records" / f"{record['run_id']}.json").is_file()
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
        images = read_preview(folder / "previews" / f"{file}.png")
        assert images.shape == (40, 28, 28, 1)
    assert {f"samples_{method}.png" for method in shown["method"]} <= {f.name for f in (folder / "figures").iterdir()}


@pytest.mark.skipif(not NAMES, reason="no record is committed yet")
def test_the_reported_settings_are_the_best_on_the_tuning_seed():
    chosen = best(aggregate(gb.load_results(committed_results() / "fashion_mnist_tune")), "fid")
    whole = chosen[chosen["settings"] == len(STRENGTHS)]
    found = {row["method"]: row["parameters"] for _, row in whole.iterrows()}
    said = {method: gb.METHODS.create(method, **parameters).identity() for method, parameters in TUNED.items()}
    assert said == found
    assert [(s.method, s.parameters) for s in gb.BENCHMARKS.create("fashion_mnist").line_up()[1:]] == list(
        TUNED.items()
    )


@pytest.mark.skipif(not NAMES, reason="no record is committed yet")
def test_what_the_page_says_of_the_tuning_is_so():
    frame = gb.load_results(committed_results() / "fashion_mnist_tune")
    five = frame[frame["method"].isin(["none", "cfg", "autoguidance", "ig", "ig_cfg"])]
    chosen = best(aggregate(five), "fid").set_index("method")
    assert list(chosen.index) == ["autoguidance", "cfg", "ig_cfg", "ig", "none"]
    assert chosen["recall"].idxmax() == "ig" and chosen["recall"]["cfg"] < chosen["recall"]["none"]
    assert chosen["cost.nfe"]["ig"] == chosen["cost.nfe"]["none"]
    for method in chosen.index.drop("none"):
        tried = five[five["method"] == method].sort_values("method.ig_scale" if method == "ig_cfg" else "method.scale")
        assert len(tried) == 4 and tried["fid"].tolist().index(tried["fid"].min()) in (1, 2), method
