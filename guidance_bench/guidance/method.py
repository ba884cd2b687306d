"""A guidance method: a dataclass with one generator that asks for velocities and combines them.

The method *yields the queries that it wants* and receives their velocities; how they are batched, which heads share a
forward pass and what it all costs is the driver's business (:mod:`guidance_bench.sampling.driver`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal, cast

from torch import Tensor

from ..core.errors import UserError
from ..core.parameters import Configurable
from ..core.registry import Registry
from ..networks.interpolant import Space, from_velocity, to_velocity
from .layers import Layers, chosen_blocks, middle_blocks
from .prepass import Prepass
from .query import Query, as_tuple
from .step import Step, Transition

__all__ = [
    "METHODS",
    "Guidance",
    "Guide",
    "Layers",
    "Query",
    "Step",
    "Transition",
    "as_tuple",
    "chosen_blocks",
    "extrapolate",
    "held",
    "in_velocity",
    "middle_blocks",
    "per_sample_dot",
    "register_method",
    "together",
]

#: What a method's generator looks like: yields one query or a tuple, receives one velocity or a tuple, returns one.
Guide = Generator[Any, Any, Tensor]


class Guidance(Configurable):
    """Base of all guidance methods. Fields are the parameters; the object holds no running state.

    Attributes:
        space: "any" where the update is affine with weights that sum to one (the same answer in v, x0 and eps);
            else the space in which :meth:`guide` receives and returns: the engine converts.
        fixed_grid: the method needs the solver's steps (``t_next``, ``index``, state), so no adaptive solver.
        neutral: parameters with which it gives the plain conditional velocity; for a check, and for readers.
        versions: of built-in methods, by solver: where only the meaning with some solvers has changed, only those runs
            get new names. Elsewhere it is ``version``.
        summary: the idea in one line.
        paper: source, "Title, arXiv number".
    """

    space: ClassVar[Literal["any"] | Space] = "any"
    fixed_grid: ClassVar[bool] = False
    neutral: ClassVar[Mapping[str, Any]] = {}
    versions: ClassVar[Mapping[str, int]] = {}
    summary: ClassVar[str] = ""
    paper: ClassVar[str] = ""

    @abstractmethod
    def guide(self, step: Step, query: Query) -> Guide:
        """Yield queries (one, or a tuple for one batched round), receive their velocities, return the guided one."""

    def evaluations(self, depth: int) -> tuple[float, float] | None:
        """Fewest and most evaluations of the main network in a solver stage, for ``depth`` blocks; None: not declared.

        The ledger counts; this is the promise that it is compared with.
        """
        return None

    def identity(self) -> dict[str, Any]:
        """The parameters as a run's specification holds them; what lies in a file is named by its hash."""
        return self.parameters()

    def prepare(self, prepass: Prepass) -> tuple[Guidance, dict[str, Any]]:
        """Measure what the method needs to know of a network beforehand, for a run.

        Returns:
            The method that guides (by default itself), and for the record what was measured: plain values, {} if
            nothing.
        """
        return self, {}

    def init(self) -> dict[str, Any]:
        """The state before the first step of a batch."""
        return {}

    def observe(self, step: Step, x_next: Tensor, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """See where an accepted step led; return the state for the next one."""
        return state


METHODS: Registry[Guidance] = Registry("method", "guidance_bench.methods", lambda: Guidance)
register_method = METHODS.register


def together(*guides: Guide) -> Generator[tuple[Query, ...], tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Run several guides in lock-step so that each of their rounds is one batch; return all their results.

    This is how guidance inside guidance stays cheap: CFG over Internal Guidance asks for four velocities in one round.
    """
    results: dict[int, Tensor] = {}
    asked: dict[int, Query | tuple[Query, ...]] = {}

    def advance(i: int, answer: Any) -> None:
        try:
            asked[i] = guides[i].send(answer)
        except StopIteration as stop:
            asked.pop(i, None)
            results[i] = stop.value

    for i in range(len(guides)):
        advance(i, None)
    while asked:
        batch = {i: as_tuple(request) for i, request in asked.items()}
        answers = iter((yield tuple(query for queries in batch.values() for query in queries)))
        for i, queries in batch.items():
            mine = tuple(next(answers) for _ in queries)
            advance(i, mine if isinstance(asked[i], tuple) else mine[0])
    return tuple(results[i] for i in range(len(guides)))


def in_velocity(method: Guidance, step: Step, query: Query) -> Guide:
    """A method's generator with velocities outside and the method's own space inside.

    For guidance inside guidance: ``yield from in_velocity(inner, step, query)`` serves a method of any space.

    Raises:
        UserError: ``guide`` is no generator.
    """
    guide: Guide = method.guide(step, query)
    space = method.space
    if not isinstance(guide, Generator):
        raise UserError(f"method {method.name!r}: guide() must be a generator: it asks with `yield query`")
    if space in ("any", "v"):
        return (yield from guide)
    return (yield from _converted(cast(Space, space), guide, step))


def _converted(space: Space, guide: Guide, step: Step) -> Guide:
    reply: Any = None
    while True:
        try:
            request = guide.send(reply)
        except StopIteration as stop:
            return to_velocity(space, step.x, held(space, step.t), stop.value)
        queries = as_tuple(request)
        velocities = yield tuple(_seen_from(space, step, query) for query in queries)
        values = tuple(_in_space(space, step, q, v) for q, v in zip(queries, velocities, strict=True))
        reply = values if isinstance(request, tuple) else values[0]


def _in_space(space: Space, step: Step, query: Query, velocity: Tensor) -> Tensor:
    if query.attention is not None or query.slope is not None:
        return velocity
    return from_velocity(space, step.x if query.x is None else query.x, _time(space, step, query), velocity)


def _seen_from(space: Space, step: Step, query: Query) -> Query:
    """A query whose gradient, if one is asked, is that of a number of the answer in the space."""
    slope = query.slope
    if slope is None:
        return query
    t = _time(space, step, query)
    return replace(query, slope=lambda x, velocity: slope(x, from_velocity(space, x, t, velocity)))


def _time(space: Space, step: Step, query: Query) -> float:
    return held(space, step.t if query.t is None else query.t)


def held(space: Space, t: float) -> float:
    """The time at which velocities are converted: where a space holds no velocity, its limit is taken.

    All noise predictions are x at t = 1 and all data predictions are x at t = 0. The conversions stop 0.001 short of
    that, and since both directions do, a method gets what it would get in the limit.
    """
    return min(t, 1 - 1e-3) if space == "eps" else max(t, 1e-3) if space == "x0" else t


def extrapolate(weak: Tensor, strong: Tensor, scale: float, channels: int | None = None) -> Tensor:
    """weak + scale (strong - weak) on the first ``channels`` channels (None: all); the rest stays ``strong``."""
    if channels is None:
        return weak + scale * (strong - weak)
    if channels > strong.shape[1]:
        raise UserError(f"channels={channels} is more than the {strong.shape[1]} channels of the latents")
    guided = strong.clone()
    guided[:, :channels] = weak[:, :channels] + scale * (strong[:, :channels] - weak[:, :channels])
    return guided


def per_sample_dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of two batches (N, C, H, W), sample by sample, (N, 1, 1, 1)."""
    return (a * b).sum(dim=(1, 2, 3), keepdim=True)
