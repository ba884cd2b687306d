"""SIGKILL at random moments of a run, resumed by another number of processes: the same samples and metrics."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest
from commands import Command, run, start, tiny

RUNS, KILLS = 5, 4
BLOCKS = 6
#: Seconds that each block and each feature pass is drawn out, so that there are moments to hit.
SLOW = 0.08


def outcome(folder: Path) -> dict:
    (path,) = folder.glob("*/record.json")
    record = json.loads(path.read_text())
    return {name: record[name] for name in ("run_id", "samples", "metrics", "networks")}


def stage(folder: Path) -> str:
    """How far a killed run has come."""
    if any(folder.glob("*/record.json")):
        return "recorded"
    shards = len(list(folder.glob("*/samples/*.safetensors")))
    if shards:
        return "evaluating" if shards == BLOCKS else "sampling"
    return "training" if any(folder.glob("models/*")) else "beginning"


@pytest.mark.slow
def test_twenty_kills_change_nothing(tmp_path):
    """Five runs are killed four times each: in sampling, and last in evaluation or in writing the record."""
    run(tiny(tmp_path / "whole"), tmp_path / "log")
    draw, stages = random.Random(5), []
    for number in range(RUNS):
        folder, log = tmp_path / f"run{number}", tmp_path / f"log{number}"
        for kill in range(KILLS):
            command = start(tiny(folder), log, draw.choice([1, 2]), TINY_SLOW=str(SLOW))
            wait_for_a_moment(command, folder, kill, draw)
            command.kill()
            command.wait()
            stages.append(stage(folder))
        run(tiny(folder), log, draw.choice([1, 2]))
        assert outcome(folder) == outcome(tmp_path / "whole"), f"after kills at {stages}"
        assert not list(folder.glob("*/samples/.*.tmp"))
    print(f"{len(stages)} kills: " + ", ".join(f"{stages.count(s)} {s}" for s in sorted(set(stages))))
    assert len(stages) == 20 and {"sampling", "evaluating"} <= set(stages)


def wait_for_a_moment(command: Command, folder: Path, kill: int, draw: random.Random) -> None:
    """Some shards more than there were, in the end all of them or the record's temporary file; then a little longer."""
    there = len(list(folder.glob("*/samples/*.safetensors")))
    wanted = [draw.choice([0, 1]), min(there + 1, BLOCKS), draw.randint(there, BLOCKS), BLOCKS][kill]
    record = kill == KILLS - 1 and draw.random() < 0.5
    delay = 0.0 if record else draw.uniform(0, BLOCKS * SLOW if kill == KILLS - 1 else SLOW)

    def reached() -> bool:
        if record:
            return any(folder.glob("*/.record.json*")) or any(folder.glob("*/record.json"))
        return len(list(folder.glob("*/samples/*.safetensors"))) >= wanted

    until = time.monotonic() + 300
    while not reached() and any(process.is_alive() for process in command.processes):
        assert time.monotonic() < until, command.text()
        time.sleep(0.001)
    time.sleep(delay)
