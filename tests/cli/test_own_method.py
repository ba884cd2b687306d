"""One's own method: a grid beside the line-up into one board, and the command of each run."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from commands import TINY

import guidance_bench as gb
from guidance_bench.cli.main import main
from guidance_bench.experiments.repeat import command_of

METHOD = """
from guidance_bench import Guidance, register_method

@register_method("mine")
class Mine(Guidance):
    scale: float = 1.5
    layers: tuple[int, ...] = (1,)

    def guide(self, step, query):
        cond, null = yield query, query.null()
        return null + self.scale * (cond - null)
"""
FAST = ["device=cpu", "benchmark.train_steps=3", "benchmark.samples=20", "benchmark.solver_steps=2"]


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """A grid of two scales and two seeds beside the line-up."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "mine.py").write_text(METHOD)
    words = [f"method={folder / 'mine.py'}", "method.scale=[1.2,1.5]", "seeds=0,1", f"output={folder / 'out'}"]
    assert main(["run", f"benchmark={TINY}", *words, *FAST]) == 0
    return folder


def records(folder: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("out/*/record.json"))]


def test_a_grid_runs_beside_the_line_up_into_one_board(board):
    frame = gb.load_results(board / "out")
    assert frame.groupby("method").size().to_dict() == {"mine": 4, "none": 2, "cfg": 2}
    assert sorted(frame[frame["method"] == "mine"]["method.scale"].unique()) == [1.2, 1.5]
    assert set(frame["seed"]) == {0, 1} and frame["protocol"].nunique() == 1
    boards = list((board / "out" / "leaderboards").iterdir())
    assert [place.name for place in boards] == ["tiny"]
    page = (boards[0] / "leaderboard.md").read_text()
    assert all(f"| {name} |" in page for name in ("mine", "none", "cfg"))


def test_the_line_up_alone_keeps_ones_own_rows_on_the_board(board, capsys):
    assert main(["run", f"benchmark={TINY}", f"output={board / 'out'}", *FAST, "seeds=0"]) == 0
    assert "| mine |" in (board / "out/leaderboards/tiny/leaderboard.md").read_text()
    said = capsys.readouterr().out
    assert said.count("found") == 2 and "[2/2] cfg" in said


def test_a_grid_alone_is_a_table(board, capsys):
    words = ["method=cfg", "method.scale=[1.5,2.5]", "lineup=false", "seed=0", f"output={board / 'out'}"]
    assert main(["run", f"benchmark={TINY}", *words, *FAST]) == 0
    said = capsys.readouterr().out
    assert "scale=2.5" in said and "leaderboard:" not in said


def test_each_record_holds_the_command_of_its_own_run(board):
    """The same command finds the same run: nothing is made."""
    before = {r["run_id"] for r in records(board)}
    for record in records(board):
        words = shlex.split(record["command"])
        assert words[:2] == ["guidance-bench", "run"] and f"seed={record['spec']['seed']}" in words
        scale = record["spec"]["method"]["parameters"].get("scale", 1.5)
        assert ("scale" in record["command"]) == (scale != 1.5)
        assert main([*words[1:], f"output={board / 'out'}", "device=cpu"]) == 0
    assert {r["run_id"] for r in records(board)} == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["method=cfg", "method.scale=[]"], "'method.scale=[]' is a grid without a value"),
        (["method=cfg", "method.scale=[1,x]"], "scale='x' is not of type float"),
        (["method=cfg", "method.scale=[1.2,-3]"], "scale=-3 is outside"),
        (["method=cfg", "seed=1", "seeds=1,2"], "seed=1 and seeds=[1, 2] exclude each other"),
        (["seeds=[]"], "seeds=[] names no seed"),
        (["seeds=[-1]"], "seed=-1 is outside"),
        (["seeds=x"], "seeds"),
    ],
)
def test_a_wrong_grid_is_one_line(words, message, capsys, tmp_path):
    assert main(["run", *words, f"output={tmp_path / 'out'}", "device=cpu"]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["method=mine"], "did you mean the file 'mine.py'?"),
        (["method=cfg", "scale=1.6"], "did you mean 'method.scale'?"),
        (["train_steps=5"], "did you mean 'benchmark.train_steps'?"),
        (["method=mine.py", "scale=1.6"], "fields of what is chosen: method.FIELD=VALUE"),
    ],
)
def test_a_first_mistake_is_told_the_way_out(words, hint, capsys, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(METHOD)
    monkeypatch.chdir(tmp_path)
    done = subprocess.run([sys.executable, "-m", "guidance_bench", "run", *words], capture_output=True, text=True)
    assert done.returncode == 2 and hint in done.stderr and done.stderr.count("\n") == 1


def test_a_list_parameter_takes_a_grid_of_lists(board):
    words = [f"method={board / 'mine.py'}", "method.layers=[[1],[2]]", "lineup=false", f"output={board / 'lists'}"]
    assert main(["run", f"benchmark={TINY}", *words, *FAST]) == 0
    assert sorted(map(str, gb.load_results(board / "lists")["method.layers"])) == ["[1]", "[2]"]


def test_a_command_names_what_is_not_the_default():
    benchmark = gb.BENCHMARKS.create("digits", samples=400, methods=("ig",))
    method, solver = gb.METHODS.create("pag", layers=(2, 3), scale=1.7), gb.SOLVERS.create("heun", steps=8)
    said = command_of(benchmark, method, solver, 3, precision="tf32", batch=None)
    assert shlex.split(said) == [
        *("guidance-bench", "run", "benchmark=digits", "benchmark.samples=400", "method=pag", "method.scale=1.7"),
        *("method.layers=[2,3]", "solver=heun", "solver.steps=8", "seed=3", "precision=tf32"),
    ]
    plain = command_of(gb.BENCHMARKS.create("digits"), gb.METHODS.create("none"), benchmark.default_solver(), 0)
    assert plain == "guidance-bench run benchmark=digits method=none seed=0"
