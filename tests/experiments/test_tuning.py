"""Tuning: the search alone on a known curve, and the verb on a benchmark of seconds."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import pytest
from synthetic_records import record_of

from guidance_bench.cli.main import main
from guidance_bench.core.errors import UserError
from guidance_bench.experiments.records import committed_results, read_records, seal
from guidance_bench.experiments.tuning.search import Search, best_of, rungs_of, search
from guidance_bench.experiments.tuning.space import Axis, search_space
from guidance_bench.experiments.tuning.tunings import read_tunings
from guidance_bench.leaderboard.publish import write_leaderboard
from guidance_bench.storage.files import read_json

pytest.importorskip("optuna")
TINY = str(Path(__file__).parents[1] / "helpers" / "tiny_benchmark.py")


def curve(parameters, samples, seed):
    """A metric like FD: least at a distance of 0.4, with a bias that falls with the samples."""
    strength = math.log(parameters["scale"] - 1) - math.log(0.4)
    return 1.0 + 0.3 * strength**2 + 20 / samples, f"{parameters['scale']}-{samples}-{seed}"


def plan(**changes):
    fields = {"method": "ig", "space": {"scale": Axis(1.025, 3.0, 1.0)}, "seeds": (1000,), "rungs": (125, 500)}
    return Search(**{**fields, "protocol": {}, **changes})


def test_it_finds_the_minimum_of_a_known_curve_at_half_the_cost_of_a_grid():
    """The grid: seven settings, each twice as far from 1 as the one before, 500 samples each."""
    trials = search(plan(), 7 * 500 // 2, curve)
    assert sum(trial["spent"] for trial in trials) <= 1750
    best = best_of(trials)
    assert len(best["scores"]) == 2 and 0.2 <= best["parameters"]["scale"] - 1 <= 0.8
    assert len(trials) >= 5 and {trial["spent"] for trial in trials} <= {125, 625}


def test_the_committed_search_found_the_grids_minimum_at_half_its_cost():
    """Internal Guidance on the digits: the pilot's grid has seven strengths, each twice the one before."""
    found = read_json(Path(committed_results()).parent / "tuning_ig.json")
    assert found["sha256"] == seal(found)["sha256"] and found["search"]["seeds"] == [100]
    pilot = [r for r in read_records(committed_results() / "digits_pilot") if r["spec"]["method"]["name"] == "ig"]
    values = {r["spec"]["method"]["parameters"]["scale"] - 1: r["metrics"][found["metric"]]["mean"] for r in pilot}
    assert len(values) == 7 and found["spent"] <= sum(r["spec"]["samples"] for r in pilot) / 2
    least, strength = min(values, key=values.get), found["best"]["parameters"]["scale"] - 1
    assert 0.5 <= strength / least <= 2.0
    assert found["best"]["value"] < sorted(values.values())[2]  # better than all but the grid's best two


def test_several_parameters_and_seeds():
    def bowl(parameters, samples, seed):
        return (parameters["a"] - 0.3) ** 2 + (parameters["b"] - 0.6) ** 2 + 0.001 * seed, "run"

    trials = search(plan(space={"a": Axis(0, 1), "b": Axis(0, 1)}, seeds=(7, 8), rungs=(10, 40)), 4000, bowl)
    assert best_of(trials)["scores"][-1] < 0.03
    assert all(trial["spent"] in (20, 100) for trial in trials) and sum(t["spent"] for t in trials) <= 4000


def test_an_interrupted_search_goes_on_as_if_it_had_not_been():
    whole = search(plan(), 3000, curve)
    shorter = search(plan(), 1500, curve)
    assert whole[: len(shorter) - 1] == shorter[:-1]
    assert search(plan(), 3000, curve) == whole


def test_a_budget_below_one_setting_is_one_line():
    with pytest.raises(UserError, match="budget=600 is less than one setting costs: 625 samples"):
        search(plan(), 600, curve)


def test_rungs_are_whole_blocks():
    assert rungs_of(800, 200) == (200, 800)
    assert rungs_of(1797, 300) == (300, 1797)
    assert rungs_of(60, 100) == (60,) and rungs_of(100, 100) == (100,)


def test_axes_are_even_in_the_distance_from_no_guidance():
    axis = search_space("ig")["scale"]
    assert (axis.value(0.0), axis.value(1.0)) == (1.025, 3.0)
    assert axis.value(0.5) == pytest.approx(1 + math.sqrt(0.025 * 2), abs=1e-4)
    assert set(search_space("ig_cfg")) == {"ig_scale", "cfg_scale"}
    assert search_space("ig", "scale:1.2..2,high:0.5..1") == {"scale": Axis(1.2, 2.0, 1.0), "high": Axis(0.5, 1.0)}
    for words, message in (
        ("scal:1..2", "did you mean 'scale'"),
        ("scale=1", "is not NAME:LOW..HIGH"),
        ("scale:3..2", "low before high"),
        ("tap:1..2", "no number"),
    ):
        with pytest.raises(UserError, match=message):
            search_space("ig", words)
    with pytest.raises(UserError, match="no scale to tune"):
        search_space("none")


def test_the_verb_keeps_a_record_and_goes_on(tmp_path, capsys):
    words = ["tune", f"benchmark={TINY}", "method=cfg", f"output={tmp_path}", "benchmark.samples=40", "device=cpu"]
    assert main([*words, "budget=80"]) == 0
    (record,) = read_tunings(tmp_path)
    assert record["spent"] <= record["budget"] == 80
    assert [t["spent"] in (10, 50) for t in record["trials"]] == [True] * len(record["trials"])
    assert record["search"]["seeds"] == [1000] and record["search"]["method"] == "cfg"
    assert "method.scale=" in record["command"] and "samples spent" in capsys.readouterr().out
    runs = {run for trial in record["trials"] for ids in trial["runs"] for run in ids}
    assert all((tmp_path / run / "record.json").is_file() for run in runs)
    start = time.perf_counter()
    assert main([*words, "budget=80"]) == 0
    assert time.perf_counter() - start < 10
    assert read_tunings(tmp_path)[0]["trials"] == record["trials"]
    assert main([*words, "budget=150"]) == 0
    (longer,) = read_tunings(tmp_path)
    assert len(longer["trials"]) > len(record["trials"])
    path = next((tmp_path / "tuning").glob("*.json"))
    path.write_text(json.dumps({**longer, "spent": 1}))
    with pytest.raises(UserError, match="does not fit"):
        read_tunings(tmp_path)


def test_the_board_shows_what_the_search_spent(tmp_path):
    found = {"scale": 1.4}
    tuning = {"benchmark": "digits", "best": {"parameters": found}, "spent": 1750}
    tuning |= {"search": {"method": "ig", "seeds": [1000]}, "trials": [{}, {}, {}]}
    records = [record_of("none"), record_of("ig", found), record_of("cfg", {"scale": 1.1})]
    files = write_leaderboard(records, tmp_path, tunings=[tuning])
    rows = files["leaderboard.md"].read_text(encoding="utf-8").splitlines()
    best = {line.split(" | ")[0]: line for line in rows if line.startswith("| ")}
    assert best["| Method"] and any("| 1,750 |" in line for line in rows if line.startswith("| ig "))
    assert not any("1,750" in line for line in rows if line.startswith(("| cfg ", "| none ")))
    assert any("on seeds that are not reported (1000)" in line for line in rows)


def test_mistakes_are_one_line(tmp_path, capsys):
    for words, message in (
        (["benchmark=digits", "method=ig"], "tune needs budget="),
        (["benchmark=digits", "method=ig", "budget=x"], "budget='x'"),
        (["benchmark=digits", "method=ig", "budget=9000", "seeds=0,7"], "seeds=0 of the tuning are reported"),
        (["benchmark=digits", "method=all", "budget=9000", "search=scale:1..2"], "search= is of one method"),
        (["benchmark=digits", "method=ig", "budget=9000", "colour=red"], "unknown option 'colour'"),
        (["benchmark=digits", "budget"], "NAME=VALUE"),
    ):
        assert main(["tune", *words, *([f"output={tmp_path}"] if len(words) > 2 else [])]) == 2
        printed = capsys.readouterr().err
        assert message in printed and printed.count("\n") == 1, printed
