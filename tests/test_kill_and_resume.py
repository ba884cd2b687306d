"""SIGKILL at random moments of a run, resumed by another number of processes: the same samples and metrics at the end."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest
from commands import run, start, tiny

KILLS = 20
#: Seconds that each block and each feature pass is drawn out, so that there are moments to hit.
SLOW = "0.03"


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
        return "evaluating" if shards == 6 else "sampling"
    return "training" if any(folder.glob("models/*")) else "beginning"


@pytest.mark.slow
def test_twenty_kills_change_nothing(tmp_path):
    """Each kill falls at a random moment after the last trace that the run has left on disk."""
    expected = outcome_of_a_whole_run(tmp_path)
    draw = random.Random(5)
    stages: list[str] = []
    attempt = 0
    while len(stages) < KILLS:
        attempt += 1
        folder = tmp_path / f"run{attempt}"
        while len(stages) < KILLS and not any(folder.glob("*/record.json")):
            processes = draw.choice([1, 2])
            command = start(tiny(folder), tmp_path / f"log{attempt}", processes, TINY_SLOW=SLOW)
            wait_for_a_moment(command, folder, draw)
            command.kill()
            command.wait()
            stages.append(stage(folder))
        run(tiny(folder), tmp_path / f"log{attempt}", processes=draw.choice([1, 2]))
        assert outcome(folder) == expected, f"after kills at {stages}"
        assert not list(folder.glob("*/samples/.*.tmp"))
    print(f"{KILLS} kills: " + ", ".join(f"{stages.count(s)} {s}" for s in sorted(set(stages))))
    assert {"sampling", "evaluating"} <= set(stages)


def outcome_of_a_whole_run(tmp_path: Path) -> dict:
    run(tiny(tmp_path / "whole"), tmp_path / "log", TINY_SLOW=SLOW)
    return outcome(tmp_path / "whole")


def wait_for_a_moment(command, folder: Path, draw: random.Random) -> None:
    """Until some number of shards is there (7: the evaluation, 8: the record's writing), and a little longer."""
    target = draw.choice([0, 1, 2, 3, 4, 5, 6, 6, 7, 8])

    def reached() -> bool:
        if not any(process.is_alive() for process in command.processes):
            return True
        if target == 8:
            return any(folder.glob("*/.record.json*")) or any(folder.glob("*/record.json"))
        return len(list(folder.glob("*/samples/*.safetensors"))) >= min(target, 6)

    until = time.monotonic() + 300
    while not reached():
        assert time.monotonic() < until, command.text()
        time.sleep(0.001)
    time.sleep(0.0 if target == 8 else draw.uniform(0.0, 0.2 if target == 7 else 0.06))
