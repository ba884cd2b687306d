"""How the cost grows with samples, batch, resolution and width: exponents fitted to measured times."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from ..experiments.benchmark import BENCHMARKS
from ..guidance.method import METHODS
from ..sampling.blocks import BlockMaker, Job
from ..sampling.solvers import SOLVERS
from .ruler import Task, alternate
from .sampling import DIGITS, SCALE, Workload

#: Sizes of each sweep; the rest of the workload is held.
BLOCKS = (1, 2, 4, 8)
BATCHES = (64, 128, 256, 512)
SIDES = (8, 16, 24, 32)
WIDTHS = (64, 128, 256, 512)
#: Samples of a block, as benchmark digits has them.
BLOCK = 200
STEPS = 2


def scaling(rounds: int, device: torch.device) -> dict[str, Any]:
    """Seconds at each size, and the exponent p of seconds ~ size^p; of the batch also its part that does not grow.

    "samples" is a run, made in blocks of one size; "batch" is what is sampled together.
    """
    work = {
        "batch": [(n, _work(device, batch=n)) for n in BATCHES],
        "latents a side": [(n, _work(device, input_size=n, batch=16)) for n in SIDES],
        "width": [(n, _work(device, hidden_size=n, batch=32)) for n in WIDTHS],
    }
    sweeps: dict[str, dict[int, Task]] = {
        "samples": {BLOCK * n: _run(_work(device, batch=BLOCK), n) for n in BLOCKS},
        **{name: {size: one.ours("ig") for size, one in sizes} for name, sizes in work.items()},
    }
    result: dict[str, Any] = {}
    for name, tasks in sweeps.items():
        times = alternate({str(size): task for size, task in tasks.items()}, rounds, device)
        medians = {size: times.median(str(size)) for size in tasks}
        result[name] = {"seconds": {str(k): v for k, v in medians.items()}, "exponent": exponent(medians)}
        if name == "batch":
            result[name]["fixed_seconds"] = fixed_part(medians)
    return result


def exponent(seconds: dict[int, float]) -> float:
    """The slope of log seconds over log size, by least squares."""
    sizes = np.log(np.array(list(seconds)))
    return float(np.polyfit(sizes, np.log(np.array(list(seconds.values()))), 1)[0])


def fixed_part(seconds: dict[int, float]) -> float:
    """a of seconds = a + b size, by least squares of the relative errors."""
    times = np.array(list(seconds.values()))
    return float(np.polyfit(list(seconds), times, 1, w=1 / times)[1])


def _run(work: Workload, blocks: int) -> Task:
    """A task: a run of so many blocks, sampled and decoded as ``guidance-bench run`` does."""
    digits = BENCHMARKS.create("digits")
    method, solver = METHODS.create("ig", scale=SCALE), SOLVERS.create("euler", steps=work.steps)
    facts: dict[str, Any] = {
        "labels": digits.labels,
        "num_classes": digits.num_classes,
        "samples": BLOCK * blocks,
        "seed": 0,
    }
    maker = BlockMaker(Job(work.network, None, method, solver, decode=digits.decode, **facts))
    return partial(_blocks, maker, blocks)


def _blocks(maker: BlockMaker, count: int) -> None:
    for start in range(0, BLOCK * count, BLOCK):
        maker.make(start, start + BLOCK)


def _work(device: torch.device, batch: int, **config: int) -> Workload:
    return Workload({**DIGITS, **config}, batch, STEPS, device)
