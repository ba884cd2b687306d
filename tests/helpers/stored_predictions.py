"""Stored predictions that stand for a network, a step there, and a method's answer to them."""

from __future__ import annotations

import torch

import guidance_bench as gb
from guidance_bench.core.randomness import KeyedRandom
from guidance_bench.guidance.method import Transition
from guidance_bench.sampling.driver import run_guide

N, SHAPE = 3, (2, 4, 4)
GENERATOR = torch.Generator().manual_seed(0)
X, COND, NULL, OTHER, EDITED, MOVED, MOVED_NULL = (
    torch.randn(N, *SHAPE, generator=GENERATOR, dtype=torch.float64) for _ in range(7)
)
MAP = torch.softmax(3 * torch.randn(N, 2, 4, 4, generator=GENERATOR, dtype=torch.float64), -1)
T, T_NEXT = 0.6, 0.5


def lookup(query: gb.Query) -> torch.Tensor:
    if query.attention is not None:
        return MAP
    if query.x is not None or query.t is not None:
        return MOVED_NULL if query.label == "null" else MOVED
    if isinstance(query.label, torch.Tensor):
        return OTHER
    if query.label == "null":
        return NULL if query.only is None else torch.where(query.only.view(-1, 1, 1, 1), NULL, torch.nan)
    return EDITED if query.edits else COND


def step(t: float = T, t_next: float = T_NEXT, index: int = 4, state: dict | None = None, stage: int = 0) -> gb.Step:
    labels = torch.tensor([0, 1, 2])
    random, euler = KeyedRandom(0, range(N), index), Transition(1.0, t_next - t)
    return gb.Step(X, t, t_next, index, 10, stage, random, state or {}, t, labels, 3, 6, euler)


def guided(name: str, at: gb.Step | None = None, **parameters) -> torch.Tensor:
    method = gb.METHODS.create(name, **parameters)
    return run_guide(method, at or step(), lambda queries: tuple(lookup(q) for q in queries))


def same(actual: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)
