"""A run keeps its name: every committed record's setting, specified anew, gets the run id of the record."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import guidance_bench as gb
from guidance_bench.experiments.benchmark import Setting
from guidance_bench.experiments.records import committed_results, read_records
from guidance_bench.experiments.runner import Runner
from guidance_bench.experiments.workspace import Workspace

STUDIES = sorted(folder.name for folder in committed_results().iterdir() if folder.is_dir())


def specified(record: dict, folder: Path) -> str:
    """The run id of a record's setting; makes no network."""
    spec = record["spec"]
    fields = {**spec["benchmark"]["parameters"], **{k: spec[k] for k in ("samples", "block", "labels")}}
    benchmark = gb.BENCHMARKS.create(spec["benchmark"]["name"], **fields)
    solver = gb.SOLVERS.create(spec["solver"]["name"], **spec["solver"]["parameters"])
    runner = Runner(benchmark, solver, Workspace(folder), torch.device("cpu"))
    return runner.specify(Setting(spec["method"]["name"], spec["method"]["parameters"]), spec["seed"]).run_id


@pytest.mark.parametrize("study", STUDIES)
def test_every_committed_record_keeps_its_name(study, tmp_path):
    records = read_records(committed_results() / study)
    assert records
    wrong = [r["run_id"] for r in records if specified(r, tmp_path) != r["run_id"]]
    assert not wrong
