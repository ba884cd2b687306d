"""Randomness keyed by (seed, sample index, purpose, step), and the label policies.

Every draw of sample i comes from a Philox counter-based generator (Salmon et al., "Parallel random numbers: as easy as
1, 2, 3", SC 2011) whose key is (seed, purpose) and whose counter starts at (step, i). No draw depends on the batch, on
the number of processes, or on what was drawn before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .errors import UserError

LABEL_POLICIES = ("random", "balanced")


def generator(seed: int, purpose: str, index: int = 0, step: int = 0) -> np.random.Generator:
    """The generator of one sample's draws for one purpose at one step."""
    key = np.array([seed, _tag(purpose)], dtype=np.uint64)
    # The two low words of the counter advance with the draws: 2^128 of them, so neighbouring keys never overlap.
    counter = np.array([0, 0, step, index], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


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
        return KeyedRandom(self.seed, self.indices, step, self.name)

    def subset(self, chosen: Tensor) -> KeyedRandom:
        """Some of the samples, (N,) bool; their draws stay what they are."""
        kept = [index for index, keep in zip(self.indices, chosen.tolist(), strict=True) if keep]
        return KeyedRandom(self.seed, kept, self.step, self.name)

    def named(self, name: str) -> KeyedRandom:
        """Draws of their own for the same purposes, as a second branch needs them."""
        return KeyedRandom(self.seed, self.indices, self.step, name)

    def shared(self, purpose: str) -> np.random.Generator:
        """A generator that is the same for all samples of a run at this step: for draws that shape a whole batch."""
        return generator(self.seed, self._purpose(f"shared {purpose}"), 0, self.step)

    def normal(self, purpose: str, shape: Sequence[int]) -> Tensor:
        """Standard normal draws (N, *shape), float64."""
        return self._stack(purpose, lambda g: g.standard_normal(tuple(shape)))

    def uniform(self, purpose: str, shape: Sequence[int] = ()) -> Tensor:
        """Uniform draws in [0, 1), (N, *shape), float64."""
        return self._stack(purpose, lambda g: g.random(tuple(shape)))

    def integers(self, purpose: str, high: int) -> Tensor:
        """One uniform integer in [0, high) for each sample, (N,) int64."""
        return self._stack(purpose, lambda g: np.int64(g.integers(high)))

    def permutation(self, purpose: str, length: int) -> Tensor:
        """One permutation of ``range(length)`` for each sample, (N, length) int64."""
        return self._stack(purpose, lambda g: g.permutation(length))

    def _stack(self, purpose: str, draw: Callable[[np.random.Generator], Any]) -> Tensor:
        purpose = self._purpose(purpose)
        rows = [draw(generator(self.seed, purpose, index, self.step)) for index in self.indices]
        return torch.from_numpy(np.stack(rows))

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
