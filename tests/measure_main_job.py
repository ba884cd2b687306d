"""Time the main job from an installed state; ``python tests/measure_main_job.py`` writes benchmarks/main_job.json."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from guidance_bench.environment import describe
from guidance_bench.files import write_json


def call(output: str) -> float:
    started = time.perf_counter()
    command = [sys.executable, "-m", "guidance_bench.cli", "run", "benchmark=digits", f"output={output}"]
    subprocess.run(command, check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as output:
        first, repeat = call(output), call(output)
    environment = describe(torch.device("cpu"))
    record = {"first_seconds": first, "repeat_seconds": repeat, "environment": environment}
    write_json(Path(__file__).parent.parent / "benchmarks" / "main_job.json", record)
