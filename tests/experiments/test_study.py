"""``gb.run`` and ``gb.evaluate``: methods of one's own from Python, with and without a file."""

from __future__ import annotations

import linecache
from pathlib import Path

import numpy as np
import pytest

import guidance_bench as gb
from guidance_bench.experiments.records import committed_results

TINY = Path(__file__).parents[1] / "helpers" / "tiny_benchmark.py"
CELL = """
from guidance_bench import Guidance
class {name}(Guidance):
    scale: float = 1.5
    def guide(self, step, query):
        cond, null = yield query, query.null()
        return null + self.scale * (cond - null)
"""


def cell(name: str, text: str, origin: str) -> type:
    """What IPython does with a cell: compile it under a name that linecache knows."""
    linecache.cache[origin] = (len(text), None, text.splitlines(keepends=True), origin)
    space: dict[str, object] = {"__name__": "__main__"}
    exec(compile(text, origin, "exec"), space)
    return space[name]  # type: ignore[return-value]


def test_a_class_of_a_cell_runs_and_is_named_by_the_cell(tmp_path):
    text = CELL.format(name="CellCFG")
    cls = gb.register_method("cell_cfg")(cell("CellCFG", text, "<cell-1>"))
    frame = gb.run(str(TINY), method=[cls, cls(scale=2.0), "none"], seeds=(0, 1), output=tmp_path)
    assert frame["method"].tolist() == ["cell_cfg", "cell_cfg", "none"] * 2
    assert frame["seed"].tolist() == [0, 0, 0, 1, 1, 1] and frame["run_id"].nunique() == 6
    assert frame[frame["method"] == "cell_cfg"]["method.scale"].tolist() == [1.5, 2.0] * 2
    again = gb.run("tiny", method=cls(scale=2.0), seeds=1, output=tmp_path)
    assert again["run_id"].tolist() == [frame["run_id"][4]] and again["time"].tolist() == [frame["time"][4]]
    edited = gb.register_method("cell_cfg")(cell("CellCFG", text.replace("null + ", "cond + "), "<cell-2>"))
    other = gb.run("tiny", method=edited(scale=2.0), seeds=1, output=tmp_path)
    assert other["run_id"][0] != again["run_id"][0] and other["plugin"][0] != again["plugin"][0]


def test_a_class_that_nobody_registered_gets_its_own_name(tmp_path):
    gb.BENCHMARKS.load_file(TINY)
    cls = cell("MyIdea", CELL.format(name="MyIdea"), "<cell-3>")
    assert gb.run("tiny", method=cls, seeds=0, output=tmp_path)["method"].tolist() == ["my_idea"]


def test_a_class_without_source_is_refused_with_the_way_out():
    space: dict[str, object] = {"__name__": "__main__"}
    exec(CELL.format(name="Nowhere"), space)
    with pytest.raises(gb.UserError, match=r"source of class Nowhere cannot be read.*put the class into a file"):
        gb.register_method("nowhere")(space["Nowhere"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "igg"}, "unknown method 'igg'"),
        ({"method": 3}, "is no guidance method"),
        ({"method": int}, "is no guidance method"),
        ({"seeds": -1}, "seed=-1 is not"),
        ({"seeds": ()}, "at least one method and one seed"),
        ({"sampels": 4}, "did you mean 'samples'"),
    ],
)
def test_mistakes_are_one_sentence(options, message, tmp_path):
    with pytest.raises(gb.UserError, match=message):
        gb.run("digits", output=tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


def test_evaluate_gives_the_verbs_numbers_as_a_dictionary(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", arr_0=images)
    with pytest.raises(gb.UserError, match="fidd"):
        gb.evaluate(tmp_path / "images.npz", tmp_path / "images.npz", metrics=["fidd"])


def test_a_run_whose_record_is_elsewhere_counts_as_done(tmp_path):
    first = gb.run(str(TINY), method="none", seeds=(0, 1), output=tmp_path / "a")
    again = gb.run("tiny", method="none", seeds=(0, 1), output=tmp_path / "b", records=tmp_path / "a")
    assert again.equals(first)
    assert not list((tmp_path / "b").rglob("*.safetensors"))
    with pytest.raises(gb.UserError, match="nowhere' does not exist"):
        gb.run("tiny", method="none", seeds=0, output=tmp_path / "c", records=tmp_path / "nowhere")


def test_the_projects_own_records_count_as_done_where_asked(tmp_path):
    frame = gb.run("digits_full", method="none", seeds=0, output=tmp_path, records="committed")
    known = gb.load_results(committed_results() / "digits_full")
    assert frame["time"].tolist() == known[known["run_id"] == frame["run_id"][0]]["time"].tolist()
    assert not list(tmp_path.rglob("*.safetensors"))
