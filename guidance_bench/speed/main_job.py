"""The main job timed from an installed state: ``python -m guidance_bench.speed.main_job``."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from ..core.environment import describe
from ..storage.files import write_json

RECORD = Path(__file__).resolve().parents[2] / "benchmarks" / "main_job.json"


def seconds_of(output: str) -> float:
    """Seconds that ``run benchmark=digits`` takes."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "guidance_bench", "run", "benchmark=digits", f"output={output}"]
    subprocess.run(command, check=True)
    return time.perf_counter() - started


def measure(record: Path = RECORD) -> None:
    """Time a first call and a repeat, and write ``record``."""
    with tempfile.TemporaryDirectory() as output:
        first, repeat = seconds_of(output), seconds_of(output)
    environment = describe(torch.device("cpu"))
    write_json(record, {"first_seconds": first, "repeat_seconds": repeat, "environment": environment})


if __name__ == "__main__":
    measure()
