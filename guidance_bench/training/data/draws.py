"""What is random in a training: the order of the data, times, noise, dropped labels, mirror images.

Every draw of a sample is keyed by (seed, epoch, row), so it depends neither on the number of processes nor on an
interruption.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...core.randomness import generator
from .dataset import TrainingData

FLIPPED = 0.5


@dataclass(frozen=True)
class Batch:
    """One process's part of a step, on the CPU.

    Attributes:
        x: samples (N, C, H, W) float32.
        y: labels (N,) int64, dropped ones replaced by the null label.
        t: times (N,) float32, 1 = noise.
        noise: (N, C, H, W) float32.
    """

    x: Tensor
    y: Tensor
    t: Tensor
    noise: Tensor


class Batches(Protocol):
    """What the loop asks for."""

    def batch(self, step: int, part: slice = slice(None)) -> Batch:
        """The samples of a step, or one process's part of them."""


@dataclass(frozen=True)
class Draws:
    """The batches of a training.

    Attributes:
        data: what they are made of.
        seed: of all draws.
        size: of a batch over all processes.
        label_drop: probability of the null label.
        times: law of t: "uniform", "lognormal" (logistic of a standard normal) or "stratified".
        flip: mirror half of the samples.
    """

    data: TrainingData
    seed: int
    size: int
    label_drop: float
    times: str
    flip: bool

    def rows(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Epochs and rows (size,) of a step: each epoch passes through all samples once, in an order of its own."""
        places = step * self.size + np.arange(self.size)
        epochs, within = np.divmod(places, len(self.data))
        rows = np.empty_like(within)
        for epoch in np.unique(epochs):
            chosen = epochs == epoch
            rows[chosen] = _order(self.seed, int(epoch), len(self.data))[within[chosen]]
        return epochs, rows

    def batch(self, step: int, part: slice = slice(None)) -> Batch:
        """The samples of a step, or one process's part of them."""
        epochs, rows = self.rows(step)
        places = np.arange(self.size)[part]
        keys = list(zip(epochs[part].tolist(), rows[part].tolist(), strict=True))
        sources = [generator(self.seed, "training sample", row, epoch) for epoch, row in keys]
        uniform = np.stack([source.random(3) for source in sources])
        noise = _normal(sources, self.data.shape)
        mirrored = (uniform[:, 2] < FLIPPED) & self.flip
        x, y = self.data.batch(rows[part], mirrored, lambda: _normal(sources, self.data.shape))
        dropped = torch.from_numpy(uniform[:, 1] < self.label_drop)
        return Batch(x, torch.where(dropped, self.data.num_classes, y), self._times(uniform[:, 0], places), noise)

    def _times(self, uniform: NDArray[np.float64], places: NDArray[np.int64]) -> Tensor:
        values = torch.from_numpy(uniform)
        if self.times == "lognormal":
            values = torch.sigmoid(torch.special.ndtri(values))
        elif self.times == "stratified":
            values = (torch.from_numpy(places) + values) / self.size
        return values.float()


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return generator(seed, "training order", step=epoch).permutation(count)


def _normal(sources: Sequence[np.random.Generator], shape: tuple[int, ...]) -> Tensor:
    values = np.empty((len(sources), *shape), np.float32)
    for row, source in zip(values, sources, strict=True):
        source.standard_normal(dtype=np.float32, out=row)
    return torch.from_numpy(values)
