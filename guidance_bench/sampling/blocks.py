"""Makes the samples of a run that are not there yet, block by block, spread over accelerate's processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.console import bar, warn
from ..core.errors import UserError
from ..core.processes import agree, gather, share
from ..core.randomness import initial_noise, label_sequence
from ..guidance.method import Guidance
from ..networks.backbone import Backbone
from ..storage.files import sweep
from ..storage.sample_store import SampleStore, Shard
from .ledger import Ledger
from .sampler import sample
from .solvers import Solver

#: Words of allocators (CUDA's, cuBLAS's, the CPU's) that are out of memory without raising torch.OutOfMemoryError.
NO_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "alloc_failed")


@dataclass(frozen=True)
class Job:
    """What to sample: networks, method, solver, and the protocol of labels and seeds.

    ``precision`` is that of the networks (which have it already: what is left to say is how float32 is multiplied);
    ``batch`` is the largest number of samples in one forward pass; None: a whole block. It changes nothing but rounding
    (latents by less than 1e-5; an adaptive solver by its tolerance).
    """

    main: Backbone
    weak: Backbone | None
    method: Guidance
    solver: Solver
    labels: str
    num_classes: int
    samples: int
    seed: int
    decode: Callable[[Tensor], NDArray[np.uint8]]
    precision: str | None = None
    batch: int | None = None


def generate(job: Job, store: SampleStore, title: str) -> None:
    """Fill the store. Each process takes whole blocks, so the samples do not depend on how many processes there are.

    Returns on every process once all shards are there.

    Raises:
        UserError: a shard cannot be written, or one sample does not fit into memory.
    """
    agree(lambda: sweep(store.folder))
    blocks = share(sorted(gather(store.missing(share(store.blocks)))))
    maker = BlockMaker(job)
    with bar(sum(stop - start for start, stop in blocks), title, "image") as progress:
        for start, stop in blocks:
            store.write(maker.make(start, stop))
            progress.update(stop - start)
    gather([])


class BlockMaker:
    """Makes blocks of samples; where memory runs out it halves the batch, says so, and keeps it halved."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.batch = job.batch
        self._labels = label_sequence(job.labels, job.samples, job.num_classes, job.seed)

    def make(self, start: int, stop: int) -> Shard:
        """Samples ``start`` to ``stop - 1``."""
        while True:
            size = min(self.batch or stop - start, stop - start)
            try:
                return self._make(start, stop, size)
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error):
                    raise
            self._halve(size)  # outside the handler, whose traceback keeps the tensors alive

    def _halve(self, size: int) -> None:
        if size == 1:
            raise UserError(f"one sample does not fit into the memory of {str(self.job.main.device)!r}")
        self.batch = size // 2
        warn(f"{size} samples at a time do not fit into memory; going on with {self.batch}")
        if self.job.main.device.type == "cuda":
            torch.cuda.empty_cache()

    def _make(self, start: int, stop: int, size: int) -> Shard:
        started = time.perf_counter()
        images, ledgers = zip(
            *(self._part(first, min(first + size, stop)) for first in range(start, stop, size)), strict=True
        )
        weights = [len(pixels) / (stop - start) for pixels in images]
        cost = {
            key: sum(w * getattr(ledger, key) for w, ledger in zip(weights, ledgers, strict=True))
            for key in ("main", "weak", "nfe")
        }
        cost["forwards"] = float(sum(ledger.forwards for ledger in ledgers))
        cost |= {"seconds": time.perf_counter() - started, "batch": float(size)}
        return Shard(start, stop, np.concatenate(images), self._labels[start:stop].numpy(), cost)

    def _part(self, start: int, stop: int) -> tuple[NDArray[np.uint8], Ledger]:
        job, ledger = self.job, Ledger()
        latents = sample(
            job.main,
            job.method,
            job.solver,
            labels=self._labels[start:stop],
            noise=initial_noise(job.seed, range(start, stop), job.main.shape),
            weak=job.weak,
            seed=job.seed,
            indices=range(start, stop),
            ledger=ledger,
            precision=job.precision,
        )
        images = job.decode(latents)
        if job.main.device.type == "cuda":
            torch.cuda.synchronize()
        return images, ledger


def _out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(words in str(error).lower() for words in NO_MEMORY)
