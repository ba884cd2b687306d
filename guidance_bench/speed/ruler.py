"""How times are taken: variants in turn, in one process, after a warm-up; medians with their spread."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

Task = Callable[[], Any]


@dataclass(frozen=True)
class Times:
    """Seconds of every variant in every round, and what each returned.

    Attributes:
        seconds: by variant, one a round.
        values: what each variant returned in its warm-up.
    """

    seconds: dict[str, list[float]]
    values: dict[str, Any] = field(default_factory=dict)

    def median(self, name: str) -> float:
        """Median of a variant's seconds."""
        return statistics.median(self.seconds[name])

    def ratio(self, slow: str, fast: str) -> float:
        """How many times longer ``slow`` takes than ``fast``: the median of the rounds' ratios, which were taken side
        by side, so that a machine that slows down for a while does not count."""
        pairs = zip(self.seconds[slow], self.seconds[fast], strict=True)
        return statistics.median(a / b for a, b in pairs)


def alternate(tasks: Mapping[str, Task], rounds: int, device: torch.device | str = "cpu") -> Times:
    """Time every task once a round, in turn, after one call that warms it up."""
    values = {name: task() for name, task in tasks.items()}
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            seconds[name].append(_timed(task, torch.device(device)))
    return Times(seconds, values)


def _timed(task: Task, device: torch.device) -> float:
    _wait(device)
    started = time.perf_counter()
    task()
    _wait(device)
    return time.perf_counter() - started


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_rate(dtype: torch.dtype, device: torch.device, size: int = 0) -> Callable[[], float]:
    """A task that returns the machine's rate of matrix products, in floating-point operations a second: the ceiling.

    The size is that of a transformer's large products on the device; ``size`` overrides it.
    """
    side = size or (8192 if device.type == "cuda" else 1536)
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in "ab")

    def rate() -> float:
        a @ b
        return 2 * side**3 / min(_timed(lambda: a @ b, device) for _ in range(3))

    return rate


def limit_threads(count: int) -> None:
    """As many threads for PyTorch and for NumPy's libraries."""
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(count)
    threadpool_limits(count)
