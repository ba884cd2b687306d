"""The notebook runs from top to bottom, on a benchmark made small, and its numbers are those of its records."""

from __future__ import annotations

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import guidance_bench as gb

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "benchmarks" / "own_method.ipynb"
SMALL = {"train_steps": 3, "weak_steps": 2, "samples": 24, "block": 12, "solver_steps": 4}


@pytest.mark.slow
def test_the_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    book = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = [cell for cell in book.cells if "parameters" in cell.metadata.get("tags", [])]
    parameters.source = f"OUTPUT = {str(tmp_path / 'out')!r}\nSEEDS = (0, 1)\nFIELDS = {SMALL}"
    NotebookClient(book, timeout=280, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    frame = gb.load_results(tmp_path / "out")
    assert frame.groupby("method").size().to_dict() == {"none": 2, "fading_cfg": 6, "cfg": 6}
    shown = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in shown)
    metric = "frechet_distance_digits_cnn"
    best = frame[frame["method"] != "none"].pivot_table(index="seed", columns=["method", "method.scale"], values=metric)
    ours, theirs = (best[m][best[m].mean().idxmin()] for m in ("fading_cfg", "cfg"))
    text = shown[-1]["data"]["text/plain"]
    numbers = [float(line.split()[-1]) for line in text.splitlines() if re.match(r"\d", line)]
    assert numbers == pytest.approx((ours - theirs).tolist(), abs=1e-5)


def test_the_notebook_is_kept_without_outputs():
    book = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(book)
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in book.cells)
