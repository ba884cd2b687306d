"""Makes the samples of a run that are not there yet, block by block, spread over accelerate's processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import PartialState
from numpy.typing import NDArray
from torch import Tensor

from .backbone import Backbone
from .driver import Ledger
from .guidance import Guidance
from .noise import initial_noise, label_sequence
from .progress import bar
from .sampler import sample
from .shards import SampleStore, Shard
from .solvers import Solver


@dataclass(frozen=True)
class Job:
    """What to sample: networks, method, solver, and the protocol of labels and seeds."""

    main: Backbone
    weak: Backbone | None
    method: Guidance
    solver: Solver
    labels: str
    num_classes: int
    samples: int
    seed: int
    decode: Callable[[Tensor], NDArray[np.uint8]]


def generate(job: Job, store: SampleStore, title: str) -> None:
    """Fill the store. Each process takes whole blocks, so the samples do not depend on how many processes there are."""
    state = PartialState()
    missing = store.missing()[state.process_index :: state.num_processes]
    labels = label_sequence(job.labels, job.samples, job.num_classes, job.seed)
    total = sum(stop - start for start, stop in missing)
    with bar(total, title, "image") as progress:
        for start, stop in missing:
            store.write(_block(job, start, stop, labels[start:stop]))
            progress.update(stop - start)
    state.wait_for_everyone()


def _block(job: Job, start: int, stop: int, labels: Tensor) -> Shard:
    started = time.perf_counter()
    ledger = Ledger()
    noise = initial_noise(job.seed, range(start, stop), job.main.shape)
    latents = sample(
        job.main,
        job.method,
        job.solver,
        labels=labels,
        noise=noise,
        weak=job.weak,
        seed=job.seed,
        indices=range(start, stop),
        ledger=ledger,
    )
    images = job.decode(latents)
    if job.main.device.type == "cuda":
        torch.cuda.synchronize()
    cost = {
        "forwards": float(ledger.forwards),
        "main": ledger.main,
        "weak": ledger.weak,
        "nfe": ledger.nfe,
        "seconds": time.perf_counter() - started,
    }
    return Shard(start, stop, images, labels.numpy(), cost)


def total_cost(store: SampleStore) -> dict[str, float]:
    """The run's cost, from its shards: evaluations for each sample, forward passes for each block, seconds of all blocks."""
    costs = [(shard.stop - shard.start, shard.cost) for shard in store]
    count = sum(n for n, _ in costs)
    mean = {key: sum(n * cost[key] for n, cost in costs) / count for key in ("main", "weak", "nfe", "forwards")}
    seconds = sum(cost["seconds"] for _, cost in costs)
    return {**mean, "seconds": seconds, "images_per_second": count / seconds}
