"""A method's queries collected without evaluating a network: can these networks answer them?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.errors import UserError
from ..core.randomness import KeyedRandom
from ..guidance.method import Guidance, Query, Step, Transition
from ..networks.backbone import Backbone
from .driver import run_guide


def check_method(method: Guidance, backbone: Backbone, weak: Backbone | None = None) -> None:
    """Collect a method's queries without evaluating anything, and fail where the networks cannot answer them.

    Raises:
        UserError: no weak network, no trained head at that block, no null label, an unknown edit; one sentence.
    """
    x = torch.randn(1, *backbone.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    nets = {"main": backbone, "weak": weak}

    def answer(queries: tuple[Query, ...]) -> tuple[Tensor, ...]:
        for query in queries:
            _check_query(method, query, nets[query.net])
        return tuple(_pretend(x, i, query, backbone.tokens) for i, query in enumerate(queries))

    labels = torch.zeros(1, dtype=torch.int64)
    for step in dry_steps(method, x, labels, backbone):
        run_guide(method, step, answer)


def dry_steps(method: Guidance, x: Tensor, labels: Tensor, backbone: Backbone) -> Sequence[Step]:
    """Ten steps from noise to data, each at the same latents and with a fresh state."""
    times = torch.linspace(1, 0, 11).tolist()
    facts = (labels, backbone.num_classes, backbone.depth)
    return [
        Step(
            *(x, t, t_next, i, 10, 0, KeyedRandom(0, range(len(x)), i), method.init(), t, *facts),
            transition=Transition(1.0, t_next - t),
        )
        for i, (t, t_next) in enumerate(pairwise(times))
    ]


def _pretend(x: Tensor, place: int, query: Query, tokens: int) -> Tensor:
    if query.attention is not None:
        return torch.full((len(x), 1, tokens, tokens), 1 / tokens, dtype=x.dtype)
    return x * (0.5 + 0.1 * place)


def _check_query(method: Guidance, query: Query, net: Backbone | None) -> None:
    try:
        if net is None:
            raise UserError("it needs a weak network and none is given")
        if isinstance(query.label, str) and query.label == "null" and not net.null_label:
            raise UserError(f"{type(net).__name__} was trained without dropped labels, so it has no null label")
        tap = net.internal_head() if query.tap == "internal" else query.tap
        maps = () if query.attention is None else (query.attention,)
        net.check(() if tap is None else (tap,), query.edits, maps)
    except UserError as error:
        raise UserError(f"method {method.name!r} cannot run here: {error}") from error


def draws_by_step(method: Guidance, backbone: Backbone) -> bool:
    """Whether a method draws random numbers at its steps, itself or in an edit; found by a dry run."""
    x = torch.randn(1, *backbone.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    random = _NotedRandom(0, range(1))
    edited: list[bool] = []

    def answer(queries: tuple[Query, ...]) -> tuple[Tensor, ...]:
        edited.extend(edit.random is not None for query in queries for edit in query.edits)
        return tuple(_pretend(x, i, query, backbone.tokens) for i, query in enumerate(queries))

    for step in dry_steps(method, x, torch.zeros(1, dtype=torch.int64), backbone):
        run_guide(method, replace(step, random=random), answer)
    return any(edited) or random.drawn


class _NotedRandom(KeyedRandom):
    """Remembers that something was drawn."""

    drawn = False

    def shared(self, purpose: str) -> np.random.Generator:
        self.drawn = True
        return super().shared(purpose)

    def _stack(self, purpose: str, draw: Callable[[np.random.Generator], Any]) -> Tensor:
        self.drawn = True
        return super()._stack(purpose, draw)
