"""The driver: answers a method's queries with the fewest forward passes and keeps the cost ledger."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..core.errors import UserError
from ..guidance.method import METHODS, Guidance, Query, Step, as_tuple, in_velocity
from ..networks.backbone import Backbone, Edit, Prediction
from .door import Weak, by_name, network
from .ledger import Ledger

#: Answers one round of queries in the order asked: velocities, and attention maps where those are asked for.
Answer = Callable[[tuple[Query, ...]], tuple[Tensor, ...]]


class Driver:
    """Evaluates a method's velocity for one batch of samples.

    Args:
        backbone: the main network.
        labels: classes of the batch, (N,) int.
        weak: the weaker network of autoguidance, or several by name.
        ledger: where the cost is counted.
    """

    def __init__(self, backbone: Backbone, labels: Tensor, weak: Weak, ledger: Ledger) -> None:
        self.main = backbone
        self.nets = {"main": backbone, **by_name(weak)}
        self.labels = labels
        self.ledger = ledger

    def velocity(self, method: Guidance, step: Step) -> Tensor:
        """The guided velocity at a step, (N, C, H, W) in the precision of ``step.x``."""
        return run_guide(method, step, self.answering(step))

    def answering(self, step: Step) -> Answer:
        """What answers the queries of a step."""
        return lambda queries: self._answer(queries, step)

    def _answer(self, queries: tuple[Query, ...], step: Step) -> tuple[Tensor, ...]:
        queries = tuple(self._resolve(query) for query in queries)
        answers: dict[int, Tensor] = {}
        for net in dict.fromkeys(query.net for query in queries):
            members = [i for i, query in enumerate(queries) if query.net == net]
            answers.update(zip(members, self._forward([queries[i] for i in members], step), strict=True))
        return tuple(answers[i] for i in range(len(queries)))

    def _resolve(self, query: Query) -> Query:
        net = network(self.nets, query.net)
        return replace(query, tap=net.internal_head()) if query.tap == "internal" else query

    def _forward(self, queries: list[Query], step: Step) -> list[Tensor]:
        """One forward pass for all queries of a network; another for the inputs whose gradients are asked."""
        keys = [_input_key(query) for query in queries]
        tracked = {key for key, query in zip(keys, queries, strict=True) if query.slope is not None}
        if tracked and not tracked.issuperset(keys):
            apart = [[q for k, q in zip(keys, queries, strict=True) if (k in tracked) == on] for on in (True, False)]
            answers = {id(q): a for part in apart for q, a in zip(part, self._forward(part, step), strict=True)}
            return [answers[id(query)] for query in queries]
        if not tracked:
            return self._evaluate(queries, keys, step)
        with torch.inference_mode(False), torch.enable_grad():
            return self._evaluate(queries, keys, step)

    def _evaluate(self, queries: list[Query], keys: list[tuple[Any, ...]], step: Step) -> list[Tensor]:
        """One forward pass; equal inputs under equal edits are evaluated once."""
        net = self.nets[queries[0].net]
        inputs = _side_by_side(dict(zip(keys, queries, strict=True)))
        chunks = [self._chunk(query, step, net) for query in inputs.values()]
        places = _places(chunks)
        x = torch.cat([chunk.x for chunk in chunks])
        x = x.requires_grad_() if any(query.slope is not None for query in queries) else x
        prediction = net(
            x,
            torch.cat([chunk.t for chunk in chunks]),
            torch.cat([chunk.y for chunk in chunks]),
            sorted({query.tap for query in queries if isinstance(query.tap, int)}),
            _placed_edits(chunks, places),
            maps=sorted({query.attention for query in queries if query.attention is not None}),
        )
        _check_answer(prediction, net, sum(len(chunk.y) for chunk in chunks), self.labels.device)
        self._count(queries[0].net, chunks, net)
        rows = dict(zip(inputs, places, strict=True))
        answers = []
        for query, key in zip(queries, keys, strict=True):
            answers.append(_read(x, prediction, query, rows[key], step.x.dtype))
            if query.slope is not None:
                self.ledger.backward += self._work([self._chunk(query, step, net)], net) * net.cost / self.main.cost
        return answers

    def _chunk(self, query: Query, step: Step, net: Backbone) -> _Chunk:
        x, labels, edits = (step.x if query.x is None else query.x), self._labels(query, net), query.edits
        if query.only is not None:
            only = query.only
            x, labels = x[only], labels[only]
            edits = tuple(replace(e, random=e.random.subset(only)) if e.random else e for e in edits)
        t = step.t if query.t is None else query.t
        times = torch.full((len(labels),), t, dtype=torch.float32, device=x.device)
        return _Chunk(x.to(torch.float32), times, labels, edits)

    def _labels(self, query: Query, net: Backbone) -> Tensor:
        if isinstance(query.label, Tensor):
            return query.label.to(self.labels)
        return torch.full_like(self.labels, net.num_classes) if query.label == "null" else self.labels

    def _count(self, name: str, chunks: list[_Chunk], net: Backbone) -> None:
        work = self._work(chunks, net)
        self.ledger.forwards += 1
        if name == "main":
            self.ledger.main += work
        else:
            self.ledger.weak += work
            self.ledger.weak_work += work * net.cost / self.main.cost

    def _work(self, chunks: list[_Chunk], net: Backbone) -> float:
        return sum(len(chunk.y) * (1 - len(chunk.skipped) / net.depth) for chunk in chunks) / len(self.labels)


@dataclass(frozen=True)
class _Chunk:
    """The rows of one input in a batched forward: latents, times, labels, edits."""

    x: Tensor
    t: Tensor
    y: Tensor
    edits: tuple[Edit, ...]

    @property
    def skipped(self) -> set[int]:
        return {layer for edit in self.edits if edit.kind == "skip_layers" for layer in edit.layers}


def run_guide(method: Guidance, step: Step, answer: Answer) -> Tensor:
    """Run one method's generator to its end, converting to and from its space.

    Raises:
        UserError: the method's own code failed; names method, step, t and the line. Or it asks for something else than
            queries, or returns something else than a velocity in the shape of ``step.x``.
    """
    guide = in_velocity(method, step, Query())
    reply: Any = None
    while True:
        try:
            request = guide.send(reply)
        except StopIteration as stop:
            return _checked(method, step, stop.value)
        except Exception as error:
            if isinstance(error, (UserError, MemoryError)) or "memory" in str(error):
                raise  # where memory runs out, a smaller batch is tried
            raise UserError(_failure(method, step, error)) from error
        if not all(isinstance(query, Query) for query in (request if isinstance(request, tuple) else (request,))):
            raise UserError(
                f"method {method.name!r}: guide() yields {_kind(request)} at {place(step)}; it asks by queries: "
                "`yield query`, or several in a tuple"
            )
        answers = answer(as_tuple(request))
        reply = answers if isinstance(request, tuple) else answers[0]


def _failure(method: Guidance, step: Step, error: Exception) -> str:
    """A bug in a method as one line."""
    frames = traceback.extract_tb(error.__traceback__)
    home = METHODS.entry(method.name).file if method.name in METHODS.names() else ""
    own = [frame for frame in frames if frame.filename == home]
    frame = (own or list(frames))[-1]
    line = f"{Path(frame.filename).name}, line {frame.lineno}"
    said = " ".join(str(error).split()) or "no message"
    if "'Query'" in said:
        said += " (a query becomes a velocity by yield: `v = yield query`)"
    return f"method {method.name!r} failed at {place(step)}, {line}: {type(error).__name__}: {said}"


def place(step: Step) -> str:
    """Where a step is, for messages."""
    return f"step {step.index} (t = {step.t:.4g})"


def _checked(method: Guidance, step: Step, velocity: Any) -> Tensor:
    """The velocity that a method returns, if it is one: a batch of another shape would be broadcast without a word."""
    x = step.x
    usable = isinstance(velocity, Tensor) and velocity.is_floating_point() and velocity.device == x.device
    if usable and velocity.shape == x.shape:
        made: Tensor = velocity
        return made
    raise UserError(
        f"method {method.name!r}: guide() returns {_kind(velocity)} at {place(step)} where the latents are {_kind(x)}"
    )


def _kind(value: Any) -> str:
    if not isinstance(value, Tensor):
        return "nothing" if value is None else type(value).__name__
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)} on {value.device}"


def _input_key(query: Query) -> tuple[Any, ...]:
    label = id(query.label) if isinstance(query.label, Tensor) else query.label
    return (label, *(None if v is None else id(v) for v in (query.x, query.only)), query.t, query.edits)


def _side_by_side(inputs: dict[tuple[Any, ...], Query]) -> dict[tuple[Any, ...], Query]:
    """Inputs with equal edits beside each other, so that an edited block runs once for each set of edits."""
    order = {edits: i for i, edits in reversed(list(enumerate(query.edits for query in inputs.values())))}
    return dict(sorted(inputs.items(), key=lambda item: order[item[1].edits]))


def _places(chunks: list[_Chunk]) -> list[tuple[int, int]]:
    """The rows [start, stop) of each chunk in the batch."""
    stops = list(accumulate(len(chunk.y) for chunk in chunks))
    return list(zip([0, *stops[:-1]], stops, strict=True))


def _placed_edits(chunks: list[_Chunk], places: list[tuple[int, int]]) -> list[Edit]:
    """Every edit with its rows. One that draws is placed on each chunk, for it draws once for each sample."""
    placed: list[Edit] = []
    for edits, group in groupby(zip(places, chunks, strict=True), key=lambda pair: pair[1].edits):
        ranges = [place for place, _ in group]
        for edit in edits:
            rows = [(ranges[0][0], ranges[-1][1])] if edit.random is None else ranges
            placed += [replace(edit, rows=place) for place in rows]
    return placed


def _check_answer(prediction: Prediction, net: Backbone, rows: int, device: torch.device) -> None:
    """Raise :class:`UserError` where a network answers with anything but velocities of what it was asked."""
    for velocity in (prediction.velocity, *prediction.taps.values()):
        fits = velocity.shape == (rows, *net.shape) and velocity.is_floating_point() and velocity.device == device
        if not fits:
            raise UserError(f"{type(net).__name__} answers with {_kind(velocity)} where {(rows, *net.shape)} is asked")


def _read(x: Tensor, prediction: Prediction, query: Query, place: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """The answer to a query out of the prediction for ``x``; NaN for samples that it left out.

    Args:
        x: latents of the whole batch; tracked where a gradient is asked.
        prediction: what the network made of them.
        query: what is asked.
        place: its rows [start, stop) of the batch.
        dtype: of the answer.
    """
    rows = slice(*place)
    if query.attention is not None:
        source = prediction.maps[query.attention]
    else:
        source = prediction.taps[query.tap] if isinstance(query.tap, int) else prediction.velocity
    if query.slope is not None:
        number = query.slope(x[rows].to(dtype), source[rows].to(dtype)).sum()
        (source,) = torch.autograd.grad(number, x, retain_graph=True)
    answer = source[rows].detach().to(dtype)
    if query.only is None:
        return answer
    whole = torch.full((len(query.only), *answer.shape[1:]), torch.nan, dtype=dtype, device=answer.device)
    whole[query.only] = answer
    return whole
