"""Randomness keyed by (seed, sample index, purpose, step), and the label policies.

Every draw of sample i comes from a Philox counter-based generator (Salmon et al., "Parallel random numbers: as easy as
1, 2, 3", SC 2011) whose key is (seed, purpose) and whose counter starts at (step, i). No draw depends on the batch, on
the number of processes, or on what was drawn before.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .errors import UserError

LABEL_POLICIES = ("random", "balanced")


def generator(seed: int, purpose: str, index: int = 0, step: int = 0) -> np.random.Generator:
    """The generator of one sample's draws for one purpose at one step."""
    key = np.array([seed, _tag(purpose)], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=_counter(index, step)))


def generators(seed: int, purpose: str, indices: Sequence[int], step: int = 0) -> Iterator[np.random.Generator]:
    """The same generators as :func:`generator` gives, one after the other: one object, set to each sample in turn.

    That costs a quarter of making one for each sample. Each must be used before the next is asked for.
    """
    if not indices:
        return
    made = generator(seed, purpose, indices[0], step)
    philox: Any = made.bit_generator
    state = philox.state
    for index in indices:
        state["state"]["counter"] = _counter(index, step)
        philox.state = state
        yield made


def _counter(index: int, step: int) -> NDArray[np.uint64]:
    """The two low words advance with the draws: 2^128 of them, so neighbouring keys never overlap."""
    return np.array([0, 0, step, index], dtype=np.uint64)


@cache
def _tag(purpose: str) -> int:
    return int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "little")


class KeyedRandom:
    """Draws for a batch of samples, given by their indices in the whole sample set."""

    def __init__(self, seed: int, indices: Sequence[int], step: int = 0, name: str = "") -> None:
        self.seed = seed
        self.indices = list(indices)
        self.step = step
        self.name = name

    def at(self, step: int) -> KeyedRandom:
        """The same samples at another solver step."""
        return self._with(step=step)

    def subset(self, chosen: Tensor) -> KeyedRandom:
        """Some of the samples, (N,) bool; their draws stay what they are."""
        kept = [index for index, keep in zip(self.indices, chosen.tolist(), strict=True) if keep]
        return self._with(indices=kept)

    def named(self, name: str) -> KeyedRandom:
        """Draws of their own for the same purposes, as a second branch needs them."""
        return self._with(name=name)

    def _with(self, **changed: Any) -> KeyedRandom:
        """A copy, of the same class and with whatever else a subclass keeps."""
        made = copy.copy(self)
        vars(made).update(changed)
        return made

    def shared(self, purpose: str) -> np.random.Generator:
        """A generator that is the same for all samples of a run at this step: for draws that shape a whole batch."""
        return generator(self.seed, self._purpose(f"shared {purpose}"), 0, self.step)

    def normal(self, purpose: str, shape: Sequence[int]) -> Tensor:
        """Standard normal draws (N, *shape), float64."""
        drawn = np.empty((len(self.indices), *shape))
        self._fill(purpose, drawn, lambda g, row: g.standard_normal(out=row))
        return torch.from_numpy(drawn)

    def uniform(self, purpose: str, shape: Sequence[int] = ()) -> Tensor:
        """Uniform draws in [0, 1), (N, *shape), float64."""
        drawn = np.empty((len(self.indices), *shape))
        self._fill(purpose, drawn, lambda g, row: g.random(out=row))
        return torch.from_numpy(drawn)

    def integers(self, purpose: str, high: int) -> Tensor:
        """One uniform integer in [0, high) for each sample, (N,) int64."""
        drawn = np.empty((len(self.indices), 1), dtype=np.int64)
        self._fill(purpose, drawn, lambda g, row: row.fill(g.integers(high)))
        return torch.from_numpy(drawn[:, 0].copy())

    def permutation(self, purpose: str, length: int) -> Tensor:
        """One permutation of ``range(length)`` for each sample, (N, length) int64."""
        drawn = np.empty((len(self.indices), length), dtype=np.int64)
        self._fill(purpose, drawn, lambda g, row: np.copyto(row, g.permutation(length)))
        return torch.from_numpy(drawn)

    def _fill(
        self, purpose: str, rows: NDArray[Any], draw: Callable[[np.random.Generator, NDArray[Any]], object]
    ) -> None:
        """Fill each sample's row in its own place by its own generator."""
        flat = rows.reshape(len(rows), math.prod(rows.shape[1:]))  # one dimension, also where a draw is one number
        drawing = generators(self.seed, self._purpose(purpose), self.indices, self.step)
        for own, row in zip(drawing, flat, strict=True):
            draw(own, row)

    def _purpose(self, purpose: str) -> str:
        return f"{self.name}: {purpose}" if self.name else purpose


def initial_noise(seed: int, indices: Sequence[int], shape: Sequence[int]) -> Tensor:
    """The noise that samples start from, (N, *shape) float32."""
    return KeyedRandom(seed, indices).normal("initial noise", shape).float()


def label_sequence(policy: str, count: int, num_classes: int, seed: int) -> Tensor:
    """The class of every sample, (count,) int64.

    "random" draws each label on its own (ADM, DiT); "balanced" gives every class the same share, up to one sample, in
    an order shuffled by the seed: an evaluator that reads in file order (ADM's Inception Score) must not meet sorted
    classes.
    """
    if policy == "random":
        return KeyedRandom(seed, range(count)).integers("label", num_classes)
    if policy == "balanced":
        order = generator(seed, "label order").permutation(count)
        return torch.from_numpy(np.arange(count) % num_classes)[torch.from_numpy(order)]
    raise UserError(f"labels={policy!r} is not one of {', '.join(LABEL_POLICIES)}")
