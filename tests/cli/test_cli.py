"""The command line as the README has it, in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import guidance_bench as gb

ROOT = Path(__file__).parents[2]
TINY = ["benchmark.train_steps=3", "benchmark.weak_steps=2", "benchmark.samples=24", "benchmark.block=8"]


def cli(*arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    command = [sys.executable, "-m", "guidance_bench.cli", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=timeout)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The main job on the real digits, with hardly any training: everything but the quality of the samples."""
    output = tmp_path_factory.mktemp("study")
    return output, cli("run", "benchmark=digits", *TINY, f"output={output}")


def test_the_main_job_writes_a_record_for_each_setting(study):
    output, done = study
    assert done.returncode == 0, done.stderr
    frame = gb.load_results(output)
    counts = frame.groupby("method").size().to_dict()
    assert counts == {"none": 1, "cfg": 3, "autoguidance": 3, "ig": 3, "ig_cfg": 3}
    for column in ("frechet_distance", "classifier_score", "precision", "recall", "label_accuracy"):
        assert frame[f"{column}_digits_cnn"].notna().all()
    assert not {"fid", "inception_score"} & set(frame.columns)
    costs = frame.groupby("method")["cost.main"].max().to_dict()
    assert costs["none"] == costs["ig"] == costs["autoguidance"] == 16 and costs["cfg"] == 32
    assert costs["ig_cfg"] == 16 + 11  # CFG for t <= 0.7: the steps at 11/16 and below


def test_the_main_job_writes_tables_figures_and_grids_and_prints_the_table(study):
    output, done = study
    board = output / "leaderboards" / "digits"
    for suffix in ("md", "csv", "tex", "html"):
        assert (board / f"leaderboard.{suffix}").stat().st_size > 200
    pictures = {p.name for p in (board / "figures").iterdir()}
    assert {f"samples_{m}.png" for m in ("none", "cfg", "autoguidance", "ig", "ig_cfg")} <= pictures
    assert {p.removesuffix(".png") for p in pictures if p.endswith(".png")} == {
        p.removesuffix(".svg") for p in pictures if p.endswith(".svg")
    }
    table = [line for line in done.stdout.splitlines() if line.strip()]
    assert all(len(line) <= 80 for line in table if not line.startswith(("leaderboard:", "figures:")))
    for method in ("none", "cfg", "autoguidance", "ig", "ig_cfg"):
        assert any(line.startswith((method, f" {method}", f"| {method}")) for line in table), done.stdout


def test_a_second_call_does_no_work_twice(study):
    output, _ = study
    board = (output / "leaderboards").rglob("*.*")
    before = {p: p.stat().st_mtime_ns for p in (*output.glob("*/record.json"), *board)}
    started = time.perf_counter()
    done = cli("run", "benchmark=digits", *TINY, f"output={output}")
    assert done.returncode == 0, done.stderr
    assert {p: p.stat().st_mtime_ns for p in before} == before and len(before) > 30
    assert time.perf_counter() - started < 60


def test_one_run_and_a_sweep(study):
    output, _ = study
    done = cli("run", "benchmark=digits", "method=ig", *TINY, f"output={output}", "-m", "method.scale=1.2,1.7,2.2")
    assert done.returncode == 0, done.stderr
    frame = gb.load_results(output)
    assert {1.2, 1.7, 2.2} <= set(frame[frame["method"] == "ig"]["method.scale"])
    assert "1.2" in done.stdout and "2.2" in done.stdout


def test_a_solver_of_choice_makes_another_run(study):
    output, _ = study
    done = cli("run", "method=none", "solver=heun", "solver.steps=4", *TINY, f"output={output}")
    assert done.returncode == 0, done.stderr
    frame = gb.load_results(output)
    assert frame["solver"].str.fullmatch(r"heun\(.*steps=4.*\)").sum() == 1
    assert frame["protocol"].nunique() == 2


def test_a_corrupt_record_is_named_and_nothing_is_lost(study, tmp_path):
    output, _ = study
    frame = gb.load_results(output)
    run_id = frame[(frame["method"] == "cfg") & (frame["method.scale"] == 1.2)]["run_id"].iloc[0]
    path = output / run_id / "record.json"
    whole = path.read_text()
    value = json.loads(whole)
    value["metrics"]["frechet_distance_digits_cnn"]["mean"] = 0.0
    path.write_text(json.dumps(value))
    try:
        done = cli("run", "benchmark=digits", *TINY, f"output={output}")
        assert done.returncode == 2 and str(path) in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    finally:
        path.write_text(whole)


def test_list_shows_every_registry_with_parameters_and_cost():
    done = cli("list")
    assert done.returncode == 0, done.stderr
    for word in ("BACKBONES", "METHODS", "SOLVERS", "BENCHMARKS", "METRICS", "scale=1.7", "main evaluations a step"):
        assert word in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rum"], "unknown verb 'rum'"),
        (["list", "method"], "cannot list 'method'"),
        (["run", "benchmark=digitz"], "did you mean 'digits'"),
        (["run", "method=ig", "method.scal=2"], "did you mean 'scale'"),
        (["run", "method=ig", "method.scale=much"], "could not be converted to Float"),
        (["run", "method=ig", "method.scale=-1"], "scale=-1.0 is outside"),
        (["run", "method=ig", "method.scale=nan"], "is not finite"),
        (["run", "methods=ig"], "unknown option 'methods'"),
        (["run", "output=/dev/null/x"], "cannot be written"),
        (["run", "device=tpu9"], "device='tpu9' cannot be used"),
        (["run", "benchmark.methods=[igg]"], "unknown method 'igg'"),
        (["run", "method=pag", "method.layers=[9]"], "block 9 is not in 1..6"),
        (["run", "method=pag", "method.layers=[]"], "names no block"),
        (["run", "method=ig", "method.tap=5"], "no trained head after block 5"),
        (["run", "method=recfg", "method.table=no"], "table='no' does not exist"),
        (["leaderboard", "/nowhere"], "'/nowhere' does not exist"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_2(arguments, message):
    done = cli(*arguments)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_without_arguments_it_says_what_it_can_do():
    done = cli()
    assert done.returncode == 2 and "  run benchmark=digits  " in done.stdout
