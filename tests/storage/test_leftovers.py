"""What a kill or a refusal leaves behind: half-written files swept by the next owner, no empty folders."""

from __future__ import annotations

import os
import time

import pytest
from synthetic_store import fill

import guidance_bench as gb
from guidance_bench.experiments.workspace import Workspace
from guidance_bench.storage.export import export
from guidance_bench.storage.files import IDLE, atomic, check_writable, sweep, write_text


def dead(path, seconds=2 * IDLE):
    """A file that its writer has left alone for so long."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half")
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


def test_the_owner_of_a_folder_sweeps_all_below_it(tmp_path):
    workspace = Workspace(tmp_path)
    leftovers = [
        dead(tmp_path / "abc" / name, seconds=0)
        for name in (
            ".record.json.x1.tmp",
            "samples/.0.safetensors.x2.tmp",
            "features/inception-1/.0.safetensors.x.tmp",
        )
    ]
    other = dead(tmp_path / "def/.record.json.x1.tmp", seconds=0)
    with workspace.lock("abc"):
        assert not any(path.exists() for path in leftovers) and other.exists()
    model = dead(tmp_path / "models/0a/.model.safetensors.x.tmp", seconds=0)
    with workspace.lock("models/0a"):
        assert not model.exists()


def test_a_file_that_is_written_again_sweeps_what_its_dead_writers_left(tmp_path):
    """Tables and pages, in folders that nobody owns: a file that is being written just now is left alone."""
    old, young = dead(tmp_path / ".board.md.a.tmp"), dead(tmp_path / ".board.md.b.tmp", seconds=1)
    other = dead(tmp_path / ".board.csv.c.tmp")
    write_text(tmp_path / "board.md", "x")
    assert not old.exists() and young.exists() and other.exists()
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["board.md"]


def test_names_with_the_pattern_letters_of_the_shell(tmp_path):
    other = dead(tmp_path / ".a.json.x.tmp")
    write_text(tmp_path / "[a].json", "x")
    assert other.exists()


def test_a_killed_export_is_swept_by_the_next_to_the_same_folder(tmp_path):
    store = fill(tmp_path / "run")
    old = dead(tmp_path / ".png.abcdefgh/000000.png").parent
    young = dead(tmp_path / ".png.hgfedcba/000000.png", seconds=1).parent
    export(store, tmp_path / "png")
    assert not old.exists() and young.exists() and len(list((tmp_path / "png").iterdir())) == 26


def test_a_name_of_the_longest_kind_is_written(tmp_path):
    write_text(tmp_path / ("x" * 255), "x")
    assert [len(path.name) for path in tmp_path.iterdir()] == [255]


# -- folders


@pytest.mark.parametrize("error", [gb.UserError("no"), KeyboardInterrupt(), RuntimeError("bug")])
@pytest.mark.parametrize("name", ["abc", "models/0a"])
def test_work_that_is_refused_leaves_no_folder(tmp_path, error, name):
    workspace = Workspace(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(type(error)), workspace.lock(name):
        raise error
    assert not list(tmp_path.iterdir())


def test_work_that_has_kept_something_stays(tmp_path):
    (tmp_path / "out").mkdir()
    workspace = Workspace(tmp_path / "out")
    with pytest.raises(gb.UserError), workspace.lock("abc"):
        write_text(tmp_path / "out/abc/x", "x")
        raise gb.UserError("no")
    assert (tmp_path / "out/abc/x").exists()
    with pytest.raises(gb.UserError), workspace.lock("models/0a"):
        raise gb.UserError("no")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["abc"]


def test_a_folder_that_was_there_stays(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(gb.UserError), Workspace(tmp_path / "out").lock("abc"):
        raise gb.UserError("no")
    assert (tmp_path / "out").is_dir() and not list((tmp_path / "out").iterdir())


def test_a_save_that_fails_takes_its_new_folders_along(tmp_path):
    (tmp_path / "old").mkdir()
    with pytest.raises(gb.UserError, match="cannot write"), atomic(tmp_path / "old/new/newer/x"):
        raise OSError(28, "No space left on device")
    assert [path.name for path in tmp_path.rglob("*")] == ["old"]


def test_whether_a_file_could_be_made_is_known_before(tmp_path):
    check_writable(tmp_path / "a/b/c.json")
    (tmp_path / "file").write_text("")
    for path, reason in (
        (tmp_path / "file/x.json", "is no folder"),
        (tmp_path, "it is a folder"),
        (tmp_path / ("x" * 300) / "y.json", "File name too long"),
    ):
        with pytest.raises(gb.UserError, match=reason) as caught:
            check_writable(path)
        assert len(str(caught.value)) < 800
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
