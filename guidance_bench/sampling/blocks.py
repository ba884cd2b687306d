"""Makes the samples of a run that are not there yet, block by block, spread over accelerate's processes.

A block is decoded, written and, where that is asked for, seen by the feature networks while the next one is sampled.
"""

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
from ..networks.precision import products
from ..storage.files import sweep
from ..storage.sample_store import SampleStore, Shard
from .beside import Beside
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


#: What is done with a finished shard; the second argument is called in its pauses and raises where all is to stop.
Then = Callable[[Shard, Callable[[], None]], None]


class StoppedError(Exception):
    """The main thread has stopped; nobody asks for the result any more."""


def generate(job: Job, store: SampleStore, title: str, then: Then | None = None) -> None:
    """Fill the store. Each process takes whole blocks, so the samples do not depend on how many processes there are.

    A block is decoded and written while the next one is sampled; two blocks are in memory, however many there are.
    Returns on every process once all shards are there.

    Args:
        job: what to sample.
        store: where to.
        title: shown beside the progress bar.
        then: called with each shard once it is written, beside the sampling; in float32 without TF32 unless the job's
            precision is "tf32".

    Raises:
        UserError: a shard cannot be written, or one sample does not fit into memory.
    """
    agree(lambda: sweep(store.folder))
    blocks = share(sorted(gather(store.missing(share(store.blocks)))))
    maker = BlockMaker(job)

    def finish(sampled: Sampled) -> None:
        shard = maker.finish(sampled)
        store.write(shard)
        if then:
            then(shard, pause)
        progress.update(shard.stop - shard.start)

    def pause() -> None:
        if beside.stopping.is_set():
            raise StoppedError

    # How float32 is multiplied is one switch for all threads: it stays where it is while two of them compute.
    with (
        products(job.precision),
        bar(sum(stop - start for start, stop in blocks), title, "image") as progress,
        Beside(finish) as beside,
    ):
        for start, stop in blocks:
            beside.put(maker.sample(start, stop, beside.check))
    gather([])


@dataclass(frozen=True)
class Sampled:
    """Samples ``start`` to ``stop - 1`` before they are decoded: latents and cost of each batch of ``size``."""

    start: int
    stop: int
    size: int
    latents: list[Tensor]
    ledgers: list[Ledger]
    seconds: float


class BlockMaker:
    """Makes blocks of samples; where memory runs out it halves the batch, says so, and keeps it halved."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.batch = job.batch
        self.decoded = job.batch  # at a time
        self._labels = label_sequence(job.labels, job.samples, job.num_classes, job.seed)

    def make(self, start: int, stop: int) -> Shard:
        """Samples ``start`` to ``stop - 1``, as :func:`generate` makes them."""
        with products(self.job.precision):
            return self.finish(self.sample(start, stop))

    def sample(self, start: int, stop: int, check: Callable[[], None] = lambda: None) -> Sampled:
        """Their latents; ``check`` is called after each batch."""
        while True:
            size = min(self.batch or stop - start, stop - start)
            try:
                return self._sample(start, stop, size, check)
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error):
                    raise
            self.batch = self._halved(size)  # outside the handler, whose traceback keeps the tensors alive

    def finish(self, sampled: Sampled) -> Shard:
        """Their images and labels, and what they have cost."""
        started = time.perf_counter()
        images = [part for latents in sampled.latents for part in self._decode(latents)]
        count = sampled.stop - sampled.start
        weights = [len(latents) / count for latents in sampled.latents]
        cost = {
            key: sum(w * getattr(ledger, key) for w, ledger in zip(weights, sampled.ledgers, strict=True))
            for key in ("main", "weak", "nfe")
        }
        cost["forwards"] = float(sum(ledger.forwards for ledger in sampled.ledgers))
        cost["seconds"] = sampled.seconds + time.perf_counter() - started
        cost["batch"] = float(min(sampled.size, *map(len, images[:1])))
        labels = self._labels[sampled.start : sampled.stop].numpy()
        return Shard(sampled.start, sampled.stop, np.concatenate(images), labels, cost)

    def _halved(self, size: int) -> int:
        if size == 1:
            raise UserError(f"one sample does not fit into the memory of {str(self.job.main.device)!r}")
        warn(f"{size} samples at a time do not fit into memory; going on with {size // 2}")
        if self.job.main.device.type == "cuda":
            torch.cuda.empty_cache()
        return size // 2

    def _sample(self, start: int, stop: int, size: int, check: Callable[[], None]) -> Sampled:
        started = time.perf_counter()
        latents, ledgers = [], []
        for first in range(start, stop, size):
            made, ledger = self._part(first, min(first + size, stop))
            latents.append(made)
            ledgers.append(ledger)
            check()
        if self.job.main.device.type == "cuda":
            torch.cuda.synchronize(self.job.main.device)
        return Sampled(start, stop, size, latents, ledgers, time.perf_counter() - started)

    def _part(self, start: int, stop: int) -> tuple[Tensor, Ledger]:
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
        return latents, ledger

    def _decode(self, latents: Tensor) -> list[NDArray[np.uint8]]:
        while True:
            size = min(self.decoded or len(latents), len(latents))
            try:
                return [self.job.decode(part) for part in latents.split(size)]
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error):
                    raise
            self.decoded = self._halved(size)


def _out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(words in str(error).lower() for words in NO_MEMORY)
