"""Every file of an output folder flipped, cut, emptied or deleted: found and named, then made again or refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from commands import tiny
from synthetic_store import flip, truncate

from guidance_bench.cli.main import main

DAMAGES = {
    "flipped at the start": lambda path: flip(path, 3),
    "flipped in the middle": lambda path: flip(path, path.stat().st_size // 2),
    "flipped at the end": lambda path: flip(path, -2),
    "truncated": truncate,
    "emptied": lambda path: path.write_bytes(b""),
    "deleted": lambda path: path.unlink(),
}


def files_of(folder: Path) -> list[str]:
    """All but the locks, which are empty."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return [name for name in names if not name.endswith("lock")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "out"
    assert main(tiny(folder)) == 0
    return folder


def outcome(folder: Path) -> dict:
    (path,) = folder.glob("*/record.json")
    record = json.loads(path.read_text())
    return {name: record[name] for name in ("run_id", "samples", "metrics")}


def test_the_folder_holds_what_is_tested_below(whole):
    kinds = {Path(name).name if "samples" not in name or "verified" in name else "shard" for name in files_of(whole)}
    read_again = {"record.json", "shard", "verified.json", "model.safetensors", "training.json"}
    assert kinds == {*read_again, "log.csv", "witness.png"}  # a training's log is for people
    assert len(files_of(whole)) == 12


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    "kind", ["record.json", "model.safetensors", "training.json", "verified.json", "first shard", "last shard"]
)
def test_damage_of_a_finished_run_is_repaired_or_refused(whole, tmp_path, capsys, kind, damage):
    folder = tmp_path / "out"
    shutil.copytree(whole, folder)
    path = pick(folder, kind)
    DAMAGES[damage](path)
    if kind in ("model.safetensors", "training.json"):  # networks are looked at when samples are to be made
        pick(folder, "first shard").unlink()
    status, told = main(tiny(folder)), capsys.readouterr().err
    if status == 0:
        assert "shard" in kind or kind == "verified.json" or damage == "deleted"
        assert outcome(folder) == outcome(whole) and path.exists()
    else:
        assert status == 2 and str(path) in told and "delete" in told
        assert told.count("guidance-bench: ") == 1 and "Traceback" not in told


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_shards_of_an_unfinished_run_are_named_and_made_again(whole, tmp_path, capsys, damage):
    folder = tmp_path / "out"
    shutil.copytree(whole, folder)
    pick(folder, "record.json").unlink()
    path = pick(folder, "last shard")
    DAMAGES[damage](path)
    assert main(tiny(folder)) == 0
    told = capsys.readouterr().err
    assert (f"{str(path)!r} is damaged" in told) == (damage != "deleted")
    assert outcome(folder) == outcome(whole)


def test_samples_that_were_deleted_on_purpose_are_not_made_again(whole, tmp_path):
    folder = tmp_path / "out"
    shutil.copytree(whole, folder)
    shutil.rmtree(next(folder.glob("*/samples")))
    assert main(tiny(folder)) == 0
    assert not list(folder.glob("*/samples")) and outcome(folder) == outcome(whole)


def test_sound_samples_that_are_not_those_of_the_record_are_refused(whole, tmp_path, capsys):
    """As after a repair on another machine: a record must not stand beside samples that did not give it."""
    folder = tmp_path / "out"
    shutil.copytree(whole, folder)
    from guidance_bench.storage.sample_store import SampleStore, Shard

    store = SampleStore.open(next(folder.glob("*/samples")))
    first = store.read(*store.blocks[0])
    store.write(Shard(first.start, first.stop, first.images ^ 1, first.labels, first.cost))
    assert main(tiny(folder)) == 2
    told = capsys.readouterr().err
    assert f"the samples of run {store.run_id} are not those of its record" in told and "delete" in told


def pick(folder: Path, kind: str) -> Path:
    shards = sorted(folder.glob("*/samples/*.safetensors"))
    if "shard" in kind:
        return shards[0 if "first" in kind else -1]
    (path,) = folder.rglob(kind)
    return path
