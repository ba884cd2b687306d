"""How the cost grows with samples, batch, resolution, width and the method: exponents fitted to measured times."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from ..core.errors import UserError
from ..experiments.benchmark import BENCHMARKS
from ..guidance.method import METHODS
from ..sampling.blocks import BlockMaker, Job
from ..sampling.ledger import Ledger
from ..sampling.sampler import sample
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
METHOD_STEPS = 8  # enough for what happens at a part of them alone


def scaling(rounds: int, device: torch.device) -> dict[str, Any]:
    """Seconds at each size, and the exponent p of seconds ~ size^p; of the batch also its part that does not grow.

    "samples" is a run, made in blocks of one size, a short one so often that all sizes make equally many; "batch" is
    what is sampled together; "methods" are all that are registered and ask for nothing but networks, with their
    defaults: time against evaluations.
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
        # A machine that stumbles now and then does so as often in a short run as in a long one, if it is as often done.
        repeats = {size: max(tasks) // size if name == "samples" else 1 for size in tasks}
        turns = {str(size): partial(_again, task, repeats[size]) for size, task in tasks.items()}
        times = alternate(turns, rounds, device)
        medians = {size: times.median(str(size)) / repeats[size] for size in tasks}
        result[name] = {"seconds": {str(k): v for k, v in medians.items()}, "exponent": exponent(medians)}
        if name == "batch":
            result[name]["fixed_seconds"] = fixed_part(medians)
    return {**result, "methods": _methods(rounds, device)}


def _methods(rounds: int, device: torch.device) -> dict[str, Any]:
    """Of each method its evaluations and its time over those of ``none``, and the exponent p of time ~ evaluations^p.

    Where a method asks for a weak network, it is the network itself, so that an evaluation is an evaluation.
    """
    work = _work(device, batch=BLOCK // 2)
    given: dict[str, Any] = {"labels": work.labels, "noise": work.noise, "weak": work.network}
    tasks: dict[str, Task] = {}
    evaluations: dict[str, float] = {}
    for name in METHODS.names():
        task, ledger = (
            partial(sample, work.network, name, SOLVERS.create("euler", steps=METHOD_STEPS), **given),
            Ledger(),
        )
        try:
            task(ledger=ledger)
        except UserError:  # wants a table made beforehand, or a block that this network lacks
            continue
        tasks[name], evaluations[name] = task, ledger.nfe
    times = alternate(tasks, rounds, device)
    over = {name: times.ratio(name, "none") for name in tasks}
    relative = {name: count / evaluations["none"] for name, count in evaluations.items()}
    sizes, ratios = (np.log([values[name] for name in tasks]) for values in (relative, over))
    return {"evaluations": relative, "time_over_none": over, "exponent": float(sizes @ ratios / (sizes @ sizes))}


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


def _again(task: Task, count: int) -> None:
    for _ in range(count):
        task()


def _work(device: torch.device, batch: int, **config: int) -> Workload:
    return Workload({**DIGITS, **config}, batch, STEPS, device)
