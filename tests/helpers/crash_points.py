"""A job of the command line, tried at each of its writes: what happens there, and what the same command then comes to.

All are forked from one process that has done such a job already, and so has every import behind it.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import signal
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from commands import ROOT, _context, tiny
from crash import NEED_SPACE, Act, disk_full, watch

from guidance_bench.cli.experiments import jobs
from guidance_bench.cli.main import main

#: Columns of a table that one machine measures differently each time.
MEASURED = ("second", "peak_memory")


@dataclass
class Tried:
    """How many points a job has, which of them were tried, and what went wrong there."""

    points: int
    tried: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def try_points(place: Path, method: str | None, act: Act, chosen: slice) -> Tried:
    """Do a job once whole, then once for each chosen point of it: to the point, and again to its end.

    Args:
        place: an empty folder.
        method: of the tiny benchmark, None for its line-up with tables, figures and page.
        act: :func:`crash.kill` or :func:`crash.disk_full`.
        chosen: of the points, in the order of time.
    """
    with ProcessPoolExecutor(1, mp_context=_context) as pool:
        return pool.submit(_try_points, place, method, act, chosen).result()


def _try_points(place: Path, method: str | None, act: Act, chosen: slice) -> Tried:
    import torch

    torch.set_num_threads(1)
    os.chdir(ROOT)
    folder, log, said = place / "job", place / "writes", place / "said"
    job = tiny(folder, "benchmark.samples=20", method=method)
    with said.open("w") as file, redirect_stdout(file), redirect_stderr(file):
        _read_once(job)
    shutil.rmtree(folder)
    assert _forked(job, said, folder, log, 0, act, False) == 0, said.read_text()
    whole, writes = outcome(folder), log.read_text().splitlines()
    if act is disk_full:  # after the last of these nothing is made any more
        writes = writes[: 1 + max(i for i, write in enumerate(writes) if write.startswith(NEED_SPACE))]
    found = Tried(len(writes))
    lasting, expected = (True, 2) if act is disk_full else (False, -signal.SIGKILL)
    for point in range(1, len(writes) + 1)[chosen]:
        shutil.rmtree(folder, ignore_errors=True)
        status = _forked(job, said, folder, log, point, act, lasting)
        at = f"point {point}, {log.read_text().splitlines()[point - 1]}"
        found.tried.append(at)
        if status != expected:
            found.faults.append(f"{at}: ended with {status}: {said.read_text()}")
        if act is disk_full:
            found.faults += [f"{at}: {fault}" for fault in _badly_told(folder, said.read_text())]
        _age(folder)
        if _forked(job, said):
            found.faults.append(f"{at}: does not go on: {said.read_text()}")
        elif (now := outcome(folder)) != whole:
            wrong = [name for name in sorted({*whole, *now}) if whole.get(name) != now.get(name)]
            found.faults.append(f"{at}: comes to another {', '.join(wrong)}: {str(now.get(wrong[0]))[:500]}")
    return found


def _read_once(job: list[str]) -> None:
    """Do the job, and from now on take the configuration that Hydra has made of it: half of a job's time, no writes."""
    read: list[Any] = []
    run_configured = jobs.run_configured
    jobs.run_configured = lambda config: (read.append(config), run_configured(config))
    assert main(job) == 0
    jobs.launch = lambda flags, overrides: run_configured(read[0]) or 0


def _forked(job: list[str], said: Path, *watched: Any) -> int:
    """The command in a forked process: its exit status, or the negative number of the signal that ended it."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 70
    try:
        handle = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
        if watched:
            watch(*watched)
        status = main(job)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _badly_told(folder: Path, text: str) -> list[str]:
    """What is wrong with the end of a job that found no space."""
    left = [str(path) for path in folder.rglob("*.tmp")]
    lines = [line for line in text.splitlines() if line.startswith("guidance-bench")]
    plain = len(lines) == 1 and "No space left" in lines[0] and "Traceback" not in text
    return [*([] if plain else [text]), *([f"{left} stay"] if left else [])]


def _age(folder: Path) -> None:
    """As if an hour had gone since the job ended: now nobody writes there any more."""
    then = time.time() - 3600
    for path in folder.rglob("*.tmp"):
        os.utime(path, (then, then))


def outcome(folder: Path) -> dict[str, Any]:
    """Each file of an output folder and what it holds, but for times and speed."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _content(path) for path in found}


def _content(path: Path) -> Any:
    if path.name == "record.json":
        record = json.loads(path.read_text())
        return [record[name] for name in ("run_id", "spec", "samples", "metrics", "networks", "evaluator")]
    if path.name == "leaderboard.csv":
        with path.open(newline="") as file:
            return [
                {k: v for k, v in row.items() if not any(word in k for word in MEASURED)}
                for row in csv.DictReader(file)
            ]
    if path.parent.name == "samples":  # a shard holds the seconds that it took; its images are in the record's digest
        return path.stat().st_size > 100
    if path.suffix in (".html", ".md", ".tex", ".csv", ".json"):
        return path.stat().st_size > 100
    return hashlib.sha256(path.read_bytes()).hexdigest()
