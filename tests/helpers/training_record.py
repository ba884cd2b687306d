"""A short training on real Fashion-MNIST, and its record: ``python tests/helpers/training_record.py`` makes it again.

Half a minute on one core. Other instructions of a CPU round otherwise, so the record holds the curve under two sets of
them, each made in a process of its own; how far they part is what the test's tolerance is measured by.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from guidance_bench.core.console import say
from guidance_bench.storage.files import write_sealed
from guidance_bench.training.execution import Execution
from guidance_bench.training.protocol import make, the_data, the_recipe

RECORD = Path(__file__).parents[2] / "benchmarks" / "fashion_training.json"
KEYS = ("recipe", "losses", "losses_fewer_instructions", "seconds", "sha256", "environment")
#: What differs from the recipe ``fashion_sit_ig``.
SHORT = {"steps": 40, "batch": 32, "warmup": 10}
#: Every CPU of x86 has these.
FEWER = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"}


def train(folder: Path) -> dict[str, Any]:
    """Train on one core; what training.json says, with the loss of every step."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        execution = Execution(log_every=1)
        return make(the_recipe("fashion_sit_ig", SHORT), the_data("fashion_mnist"), folder, "cpu", execution).facts
    finally:
        torch.set_num_threads(threads)


def losses_with_fewer_instructions() -> list[list[float]]:
    """The curve of another process, which is kept from the newer instructions of its CPU."""
    command = [sys.executable, __file__, "losses"]
    done = subprocess.run(command, env={**os.environ, **FEWER}, stdout=subprocess.PIPE, text=True, check=True)
    found: list[list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(words: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        facts = train(Path(folder))
    if words == ["losses"]:
        print(json.dumps(facts["losses"]))
        return
    kept = {name: facts[name] for name in KEYS if name in facts}
    write_sealed(RECORD, {**kept, "losses_fewer_instructions": losses_with_fewer_instructions()})
    say(f"written: {RECORD}")


if __name__ == "__main__":
    main(sys.argv[1:])
