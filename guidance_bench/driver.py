"""The driver: answers a method's queries with the fewest forward passes and keeps the cost ledger."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from .backbone import Backbone, Edit
from .errors import UserError
from .guidance import Guidance, Query, Step, as_tuple
from .interpolant import from_velocity, to_velocity
from .noise import KeyedRandom

#: Answers one round of queries with velocities in the order asked.
Answer = Callable[[tuple[Query, ...]], tuple[Tensor, ...]]


@dataclass
class Ledger:
    """What sampling has cost, counted by the driver.

    Attributes:
        forwards: batched forward passes.
        main: evaluations of the main network for each sample (a batch of two counts two; a skipped block its share less).
        weak: evaluations of the weak network for each sample.
        weak_cost: cost of one weak evaluation in main evaluations.
    """

    forwards: int = 0
    main: float = 0.0
    weak: float = 0.0
    weak_cost: float = 0.0

    @property
    def nfe(self) -> float:
        """Evaluations for each sample, in units of the main network."""
        return self.main + self.weak * self.weak_cost


class Driver:
    """Evaluates a method's velocity for one batch of samples.

    Args:
        backbone: the main network.
        labels: classes of the batch, (N,) int.
        weak: the weaker network of autoguidance.
        ledger: where the cost is counted.
    """

    def __init__(self, backbone: Backbone, labels: Tensor, weak: Backbone | None, ledger: Ledger) -> None:
        self.nets = {"main": backbone, "weak": weak}
        self.labels = labels
        self.ledger = ledger
        if weak is not None:
            ledger.weak_cost = weak.cost / backbone.cost

    def velocity(self, method: Guidance, step: Step) -> Tensor:
        """The guided velocity at a step, (N, C, H, W) in the precision of ``step.x``."""
        return run_guide(method, step, lambda queries: self._answer(queries, step))

    def _answer(self, queries: tuple[Query, ...], step: Step) -> tuple[Tensor, ...]:
        queries = tuple(self._resolve(query) for query in queries)
        answers: dict[int, Tensor] = {}
        groups: dict[tuple[str, tuple[Edit, ...]], list[int]] = {}
        for i, query in enumerate(queries):
            groups.setdefault((query.net, query.edits), []).append(i)
        for members in groups.values():
            velocities = self._forward([queries[i] for i in members], step)
            answers.update(zip(members, velocities, strict=True))
        return tuple(answers[i] for i in range(len(queries)))

    def _resolve(self, query: Query) -> Query:
        net = self.nets[query.net]
        if net is None:
            raise UserError("this method asks for a weak network and none was given")
        return replace(query, tap=net.internal_head()) if query.tap == "internal" else query

    def _forward(self, queries: list[Query], step: Step) -> list[Tensor]:
        """One forward pass for queries that share network and edits; equal inputs are evaluated once."""
        net = self.nets[queries[0].net]
        assert net is not None
        keys = [_input_key(query) for query in queries]
        rows = {key: query for key, query in zip(keys, queries, strict=True)}
        taps = sorted({query.tap for query in queries if isinstance(query.tap, int)})
        x = torch.cat([(step.x if q.x is None else q.x).to(torch.float32) for q in rows.values()])
        times = torch.cat([self._times(step.t if q.t is None else q.t) for q in rows.values()])
        y = torch.cat([self._labels(q, net) for q in rows.values()])
        prediction = net(x, times.to(x.device), y, taps, queries[0].edits)
        self._count(queries[0], len(rows), net)
        chunks = {tap: v.to(step.x.dtype).chunk(len(rows)) for tap, v in prediction.taps.items()}
        final = prediction.velocity.to(step.x.dtype).chunk(len(rows))
        position = {key: i for i, key in enumerate(rows)}
        return [
            (final if q.tap is None else chunks[q.tap])[position[key]]  # type: ignore[index]
            for q, key in zip(queries, keys, strict=True)
        ]

    def _times(self, t: float) -> Tensor:
        return torch.full((len(self.labels),), t, dtype=torch.float32)

    def _labels(self, query: Query, net: Backbone) -> Tensor:
        if isinstance(query.label, Tensor):
            return query.label.to(self.labels)
        return torch.full_like(self.labels, net.num_classes) if query.label == "null" else self.labels

    def _count(self, query: Query, rows: int, net: Backbone) -> None:
        skipped = {layer for edit in query.edits if edit.kind == "skip_layers" for layer in edit.layers}
        work = rows * (1 - len(skipped) / net.depth)
        self.ledger.forwards += 1
        if query.net == "main":
            self.ledger.main += work
        else:
            self.ledger.weak += work


def run_guide(method: Guidance, step: Step, answer: Answer) -> Tensor:
    """Run one method's generator to its end, converting to and from its space."""
    guide = method.guide(step, Query())
    if not inspect.isgenerator(guide):
        raise UserError(f"method {method.name!r}: guide() must be a generator: it asks with `yield query`")
    space = "v" if method.space == "any" or (method.space == "eps" and step.t == 1) else method.space
    reply: Any = None
    while True:
        try:
            request = guide.send(reply)
        except StopIteration as stop:
            return to_velocity(space, step.x, step.t, stop.value)
        queries = as_tuple(request)
        values = tuple(_in_space(space, step, q, v) for q, v in zip(queries, answer(queries), strict=True))
        reply = values if isinstance(request, tuple) else values[0]


def _in_space(space: Any, step: Step, query: Query, velocity: Tensor) -> Tensor:
    x = step.x if query.x is None else query.x
    return from_velocity(space, x, step.t if query.t is None else query.t, velocity)


def _input_key(query: Query) -> tuple[Any, ...]:
    label = id(query.label) if isinstance(query.label, Tensor) else query.label
    return (label, None if query.x is None else id(query.x), query.t)


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
        return tuple(x * (0.5 + 0.1 * i) for i in range(len(queries)))

    times = torch.linspace(1, 0, 11).tolist()
    for index, (t, t_next) in enumerate(zip(times[:-1], times[1:], strict=True)):
        run_guide(method, Step(x, t, t_next, index, 10, 0, KeyedRandom(0, [0], index), method.init()), answer)


def _check_query(method: Guidance, query: Query, net: Backbone | None) -> None:
    try:
        if net is None:
            raise UserError("it needs a weak network and none is given")
        if isinstance(query.label, str) and query.label == "null" and not net.null_label:
            raise UserError(f"{type(net).__name__} was trained without dropped labels, so it has no null label")
        tap = net.internal_head() if query.tap == "internal" else query.tap
        net.check(() if tap is None else (tap,), query.edits)
    except UserError as error:
        raise UserError(f"method {method.name!r} cannot run here: {error}") from error
