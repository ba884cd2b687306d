"""What of an output folder can go, and what a board leaves out."""

from __future__ import annotations

import io
import sys
import time

import pytest
from commands import TINY

import guidance_bench as gb
from guidance_bench.cli.main import main
from guidance_bench.experiments.workspace import Workspace

METHOD = """
from guidance_bench import Guidance, register_method

@register_method("changing")
class Changing(Guidance):
    scale: float = 1.5

    def guide(self, step, query):
        cond, null = yield query, query.null()
        return null + self.scale * (cond - null) * NUMBER
"""


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """Two versions of a plug-in, an unfinished run, a file of a killed command."""
    folder = tmp_path_factory.mktemp("clean")
    for number in ("1.0", "2.0"):
        time.sleep(1.1 if number == "2.0" else 0)  # a record's time has seconds
        place = folder / number / "changing.py"
        place.parent.mkdir()
        place.write_text(METHOD.replace("NUMBER", number))
        gb.METHODS._entries.pop("changing", None)
        words = [f"method={place}", f"output={folder / 'out'}", "device=cpu", "benchmark.train_steps=2"]
        assert main(["run", f"benchmark={TINY}", "benchmark.samples=20", "benchmark.solver_steps=2", *words]) == 0
    (folder / "out" / "0123456789ab" / "samples").mkdir(parents=True)
    (folder / "out" / "models" / ".model.safetensors.x.tmp").write_bytes(b"x" * 2_000_000)
    return folder / "out"


def plugins(output):
    frame = gb.load_results(output).sort_values("time")
    return frame["plugin"].tolist()


def test_old_versions_can_be_hidden_from_a_board(output, tmp_path, capsys):
    old, new = plugins(output)
    assert main(["leaderboard", str(output), f"output={tmp_path / 'all'}"]) == 0
    text = (tmp_path / "all" / "leaderboard.md").read_text()
    assert f"changing@{old[:8]}" in text and f"changing@{new[:8]}" in text
    for exclude in ("old", f"changing@{old[:8]}"):
        assert main(["leaderboard", str(output), f"output={tmp_path / 'new'}", f"exclude={exclude}"]) == 0
        text = (tmp_path / "new" / "leaderboard.md").read_text()
        assert "| changing |" in text and old[:8] not in text
    capsys.readouterr()
    assert main(["leaderboard", str(output), f"output={tmp_path / 'none'}", "exclude=changed"]) == 2
    assert "exclude='changed' fits no record" in capsys.readouterr().err
    assert main(["leaderboard", str(output), f"output={tmp_path / 'none'}", "exclude=changing"]) == 2
    assert "leaves no record" in capsys.readouterr().err


def test_clean_lists_and_deletes_nothing_unasked(output, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert main(["clean", str(output)]) == 0
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert lines[0].startswith("old") and lines[0].endswith("changing, seed 0")
    assert lines[1].startswith("temporary") and "2.0 MB" in lines[1]
    assert lines[2].startswith("2 to delete") and lines[3] == "nothing deleted: add yes=true"
    assert len(plugins(output)) == 2


def test_clean_asks_on_a_terminal(output, capsys, monkeypatch):
    terminal = io.StringIO("no\n")
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", terminal)
    assert main(["clean", str(output), "what=unfinished"]) == 0
    assert "delete? [y/N]" in capsys.readouterr().out and (output / "0123456789ab").is_dir()
    terminal.seek(0)
    monkeypatch.setattr("builtins.input", lambda question: "y")
    assert main(["clean", str(output), "what=unfinished"]) == 0
    assert not (output / "0123456789ab").exists()


def test_clean_deletes_what_it_listed_and_no_run_that_is_in_work(output, capsys):
    old, new = plugins(output)
    run = gb.load_results(output).set_index("plugin").loc[old, "run_id"]
    with Workspace(output).lock(run):
        assert main(["clean", str(output), "what=old", "yes=true"]) == 0
        assert f"left: another process works on {run}" in capsys.readouterr().out
    assert main(["clean", str(output), "yes=true"]) == 0
    assert plugins(output) == [new] and not list(output.rglob(".*.tmp"))
    assert main(["clean", str(output)]) == 0 and capsys.readouterr().out.endswith("nothing to clean\n")
    assert main(["clean", str(output), "what=samples", "yes=true"]) == 0
    assert not list(output.glob("*/samples")) and plugins(output) == [new]


@pytest.mark.parametrize("words", [["/nowhere"], ["a", "b"], [".", "what=all"], [".", "yes=1"], [".", "sure=yes"]])
def test_a_wrong_clean_is_one_line(words, capsys):
    assert main(["clean", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1
