"""The noise of a stochastic solver's steps, drawn for a batch at once and ahead of the network."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from torch import Tensor

from ..core.randomness import KeyedRandom


class StepNoise:
    """While the network works on one step, a thread of its own draws the noise of the next: NumPy draws without
    Python's lock, and on a GPU the copy goes from pinned memory beside the computation.

    Which thread draws, and when, changes nothing: every draw is keyed by (seed, sample, step).

    Args:
        random: the batch's draws.
        like: the latents (N, C, H, W); the noise comes in their precision, on their device.
        count: number of draws; 0: none, and no thread.
    """

    def __init__(self, random: KeyedRandom, like: Tensor, count: int) -> None:
        self._random = random
        self._like = like
        self._count = count
        self._threads = ThreadPoolExecutor(1, "noise") if count else None
        self._next: dict[int, Future[Tensor]] = {}

    def __enter__(self) -> StepNoise:
        self._prepare(0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)

    def __call__(self, index: int) -> Tensor:
        """Standard normal noise of step ``index``, in the shape of the latents."""
        drawn = self._next.pop(index).result() if index in self._next else self._draw(index)
        self._prepare(index + 1)
        return drawn.to(self._like.device, non_blocking=True)

    def _prepare(self, index: int) -> None:
        if self._threads is not None and index < self._count:
            self._next = {index: self._threads.submit(self._draw, index)}

    def _draw(self, index: int) -> Tensor:
        drawn = self._random.at(index).normal("sde", self._like.shape[1:]).to(self._like.dtype)
        return drawn.pin_memory() if self._like.device.type == "cuda" else drawn
