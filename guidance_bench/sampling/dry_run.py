"""A method's queries collected without evaluating a network: can these networks answer them?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.errors import UserError
from ..core.randomness import KeyedRandom
from ..guidance.method import Guidance, Query, Step, Transition
from ..networks.backbone import BACKBONES, Backbone
from ..networks.own_edits import own_edit
from .door import Weak, by_name, network
from .driver import run_guide
from .field import GuidedField
from .solvers import Solver
from .unchanged import Unchanged


def check_method(method: Guidance, backbone: Backbone, weak: Weak = None, solver: Solver | None = None) -> None:
    """Collect a method's queries without evaluating anything, and fail where the networks cannot answer them.

    The method is asked at the solver's own steps. Without a solver, or with an adaptive one, whose steps nobody knows
    beforehand, it is asked at a hundred times, and at and between all times that its parameters may name.

    Raises:
        UserError: no weak network, no trained head at that block, no null label, an unknown edit, or a method that
            keeps something of a batch in itself; one sentence.
    """
    pretender = _Pretender(method, backbone, weak)
    before = Unchanged(method)
    if solver is not None and solver.fixed_grid:
        field = GuidedField(pretender, method, KeyedRandom(0, range(1)), solver)
        solver.solve(field, pretender.x, lambda index: torch.zeros_like(pretender.x))
    else:
        for step in dry_steps(method, pretender.x, pretender.labels, backbone, dry_times(method)):
            pretender.velocity(method, step)
    before.check()


def queries_of(method: Guidance, backbone: Backbone) -> list[Query]:
    """What a method asks for at eleven times, without asking whether it can be answered.

    Raises:
        UserError: the method cannot run without more than networks.
    """
    asked: list[Query] = []
    pretender = _Pretender(method, backbone, backbone)

    def answer(queries: tuple[Query, ...]) -> tuple[Tensor, ...]:
        asked.extend(queries)
        return tuple(_pretend(pretender.x, i, query, backbone.tokens) for i, query in enumerate(queries))

    for step in dry_steps(method, pretender.x, pretender.labels, backbone):
        run_guide(method, step, answer)
    return asked


def counting_network(method: Guidance, depth: int) -> Backbone:
    """What a method's evaluations are counted on: the toy mixture, or for edits that it brings along a small SiT."""
    toy = BACKBONES.create("toy", depth=depth).build()
    if not any(own_edit(edit.kind) for query in queries_of(method, toy) for edit in query.edits):
        return toy
    shape = {"input_size": 8, "patch_size": 2, "in_channels": 2, "hidden_size": 16, "num_heads": 2, "num_classes": 4}
    return BACKBONES.create("sit", **shape, depth=depth, tap=1).build()


class _Pretender:
    """Answers a method's queries for one sample with latents times a number, after checking that they can be."""

    def __init__(self, method: Guidance, backbone: Backbone, weak: Weak) -> None:
        self.main = backbone
        self.labels = torch.zeros(1, dtype=torch.int64)
        self.x = torch.randn(1, *backbone.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        self._method = method
        self._nets = {"main": backbone, **by_name(weak)}

    def velocity(self, method: Guidance, step: Step) -> Tensor:
        """What the method makes of the pretended answers."""
        return run_guide(method, step, self._answer)

    def _answer(self, queries: tuple[Query, ...]) -> tuple[Tensor, ...]:
        for query in queries:
            _check_query(self._method, query, self._nets)
        return tuple(_pretend(self.x, i, query, self.main.tokens) for i, query in enumerate(queries))


def dry_steps(
    method: Guidance, x: Tensor, labels: Tensor, backbone: Backbone, times: Sequence[float] | None = None
) -> Sequence[Step]:
    """Steps from noise to data (ten if no times are given), each at the same latents and with a fresh state."""
    times = torch.linspace(1, 0, 11).tolist() if times is None else times
    facts = (labels, backbone.num_classes, backbone.depth)
    count = len(times) - 1
    return [
        Step(
            *(x, t, t_next, i, count, 0, KeyedRandom(0, range(len(x)), i), method.init(), t, *facts),
            transition=Transition(1.0, t_next - t),
            tokens=backbone.tokens,
        )
        for i, (t, t_next) in enumerate(pairwise(times))
    ]


def dry_times(method: Guidance) -> list[float]:
    """A hundred times from 1 to 0; every parameter that may be a time, the numbers beside it, and all middles."""
    named = {t for t in _numbers(vars(method)) if 0 < t < 1}
    ends = sorted({0.0, 1.0, *named, *(math.nextafter(t, side) for t in named for side in (0.0, 1.0))})
    middles = {(a + b) / 2 for a, b in pairwise(ends)}
    return sorted({*ends, *middles, *(i / 100 for i in range(101))}, reverse=True)


def _numbers(value: Any) -> list[float]:
    value = vars(value) if isinstance(value, Guidance) else value
    if isinstance(value, dict):
        return [number for inner in value.values() for number in _numbers(inner)]
    if isinstance(value, (list, tuple)):
        return [number for inner in value for number in _numbers(inner)]
    return [value] if isinstance(value, float) else []


def _pretend(x: Tensor, place: int, query: Query, tokens: int) -> Tensor:
    if query.attention is not None:
        return torch.full((len(x), 1, tokens, tokens), 1 / tokens, dtype=x.dtype)
    return x * (0.5 + 0.1 * place)


def _check_query(method: Guidance, query: Query, nets: Mapping[str, Backbone]) -> None:
    try:
        net = network(nets, query.net)
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

    for step in dry_steps(method, x, torch.zeros(1, dtype=torch.int64), backbone, dry_times(method)):
        run_guide(method, replace(step, random=random), answer)
    return any(edited) or random.drawn


class _NotedRandom(KeyedRandom):
    """Remembers that something was drawn, also from what is derived of it."""

    def __init__(self, seed: int, indices: Sequence[int]) -> None:
        super().__init__(seed, indices)
        self._drawn: list[str] = []

    @property
    def drawn(self) -> bool:
        """Whether something was."""
        return bool(self._drawn)

    def shared(self, purpose: str) -> np.random.Generator:
        self._drawn.append(purpose)
        return super().shared(purpose)

    def _fill(
        self, purpose: str, rows: NDArray[Any], draw: Callable[[np.random.Generator, NDArray[Any]], object]
    ) -> None:
        self._drawn.append(purpose)
        super()._fill(purpose, rows, draw)
