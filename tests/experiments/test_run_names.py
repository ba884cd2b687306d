"""A run keeps its name: every committed record's setting, specified anew, gets the run id of the record."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from guidance_bench.benchmarks import cifar10
from guidance_bench.benchmarks.shared.image_benchmark import RealImages

import guidance_bench as gb
from guidance_bench.experiments.benchmark import Setting
from guidance_bench.experiments.records import committed_results, read_records
from guidance_bench.experiments.runner import Runner
from guidance_bench.experiments.workspace import Workspace
from guidance_bench.training.sources.cifar10 import CLASSES

STUDIES = sorted(folder.name for folder in committed_results().iterdir() if folder.is_dir())


def specified(record: dict, folder: Path) -> str:
    """The run id of a record's setting; makes no network."""
    spec = record["spec"]
    fields = {**spec["benchmark"]["parameters"], **{k: spec[k] for k in ("samples", "block", "labels")}}
    benchmark = gb.BENCHMARKS.create(spec["benchmark"]["name"], **fields)
    solver = gb.SOLVERS.create(spec["solver"]["name"], **spec["solver"]["parameters"])
    runner = Runner(benchmark, solver, Workspace(folder), torch.device("cpu"))
    return runner.specify(Setting(spec["method"]["name"], spec["method"]["parameters"]), spec["seed"]).run_id


def known_by_hash(name: str, sha256: str) -> RealImages:
    """What a run's name knows of images that are not at hand: their shape, classes and hash."""
    images = RealImages(name, np.zeros((10, 32, 32, 3), np.uint8), np.arange(10), CLASSES)
    images.__dict__["sha256"] = sha256
    return images


@pytest.mark.parametrize("study", STUDIES)
def test_every_committed_record_keeps_its_name(study, tmp_path, monkeypatch):
    records = read_records(committed_results() / study)
    assert records
    name, _, sha256 = records[0]["spec"]["networks"]["main"].get("data", "").partition("@")
    if name == "cifar10":
        monkeypatch.setattr(cifar10, "load_images", lambda train: known_by_hash(name, sha256))
    wrong = [r["run_id"] for r in records if specified(r, tmp_path) != r["run_id"]]
    assert not wrong
