"""A board is drawn once for the same inputs; what was deleted, edited or is of other inputs is drawn again."""

from __future__ import annotations

import os
import shutil

import pytest

from guidance_bench.leaderboard import made_before as module
from guidance_bench.leaderboard.figures.sample_grids import StoredSamples
from guidance_bench.leaderboard.made_before import NAME, inputs_of, made_before
from guidance_bench.leaderboard.publish import publish
from guidance_bench.leaderboard.registered.state import own_sources
from tests.helpers.synthetic_records import record_of
from tests.helpers.synthetic_store import fill, flip

RECORDS = [record_of("none"), record_of("ig")]


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """An output folder with samples, its board, and the bytes of each file of it."""
    output = tmp_path_factory.mktemp("output")
    for record in RECORDS:
        fill(output / record["run_id"], 1000, 256, (8, 8, 1), record["run_id"])
    written = publish(RECORDS, output / "board", stores=output)
    return output, written, {name: path.read_bytes() for name, path in written.items()}


def inputs(output, records=RECORDS, **options):
    return inputs_of(records, [], {}, StoredSamples(output, records), **(options or {"full_latex": False}))


def test_the_same_again_writes_nothing(board, capsys):
    output, written, _ = board
    before = {name: os.stat(path) for name, path in written.items()}
    printed = capsys.readouterr().out
    assert publish(list(reversed(RECORDS)), output / "board", stores=output) == written
    assert {name: os.stat(path).st_ino for name, path in written.items()} == {k: v.st_ino for k, v in before.items()}
    assert "leaderboard.html" in capsys.readouterr().out and not printed


def test_what_was_deleted_edited_or_not_noted_is_made_again(board, tmp_path):
    output, written, content = board
    assert made_before(output / "board", inputs(output)) == written
    damages = {
        "figures/cost.png": os.remove,
        "figures/samples_ig.svg": lambda path: flip(path, 20),
        "leaderboard.md": lambda path: path.write_text("edited"),
        "leaderboard.html": lambda path: path.write_bytes(b""),
        NAME: lambda path: path.write_text("{}"),
    }
    for place, (name, damage) in enumerate(damages.items()):
        copy = shutil.copytree(output / "board", tmp_path / str(place))
        damage(copy / name)
        assert made_before(copy, inputs(output)) is None, name
    for name, damage in damages.items():
        damage(output / "board" / name)
    publish(RECORDS, output / "board", stores=output)
    assert {name: path.read_bytes() for name, path in written.items()} == content
    assert made_before(output / "board", inputs(output)) == written


def test_every_input_counts(board, tmp_path, monkeypatch):
    output = board[0]
    known = inputs(output)
    assert inputs(output, list(reversed(RECORDS))) == known
    others = [
        inputs(output, [*RECORDS, record_of("cfg")]),
        inputs(output, RECORDS[:1]),
        inputs(output, full_latex=True),
        inputs(tmp_path),
        inputs_of(RECORDS, [{"sha256": "f0" * 32}], {}, StoredSamples(output, RECORDS), full_latex=False),
    ]
    shard = min((output / RECORDS[0]["run_id"] / "samples").glob("*.safetensors"))  # grids are made of the first
    os.utime(shard, ns=(0, 0))
    others.append(inputs(output))
    monkeypatch.setattr(module, "version_of", lambda package: "0")
    others.append(inputs(output))
    monkeypatch.setattr(module, "own_sources", dict)
    others.append(inputs(output))
    assert len({known, *others}) == 1 + len(others)


def test_our_own_sources_are_hashed():
    names = {place.split("/")[-1] for place in own_sources()}
    assert {"overview.py", "page.html", "ig.py", "grids.py", "benchmark.json"} <= names
