"""A guidance method: a dataclass with one generator that asks for velocities and combines them.

The method *yields the queries that it wants* and receives their velocities; how they are batched, which heads share a
forward pass and what it all costs is the driver's business (:mod:`guidance_bench.sampling.driver`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, cast

from torch import Tensor

from ..core.errors import UserError
from ..core.parameters import Configurable
from ..core.randomness import KeyedRandom
from ..core.registry import Registry
from ..networks.backbone import Edit
from ..networks.interpolant import Space, from_velocity, to_velocity
from .prepass import Prepass

#: What a method's generator looks like: yields one query or a tuple, receives one velocity or a tuple, returns one.
Guide = Generator[Any, Any, Tensor]


@dataclass(frozen=True, eq=False)
class Query:
    """One evaluation of a network, as data. The default asks for this sample's class, the main network, the final head.

    Attributes:
        label: "class", "null", or other labels (N,) int.
        net: "main" or "weak" (the second network of autoguidance).
        tap: None for the final head, k for the head after block k, "internal" for the backbone's trained head.
        edits: changes to the forward pass.
        x: other latents (N, C, H, W) instead of the step's.
        t: another time instead of the step's.
        only: samples to evaluate, (N,) bool; the others cost nothing and are answered with NaN. None: all.
        attention: k asks for the attention map of block k, (N, heads, T, T), instead of a velocity.
    """

    label: Literal["class", "null"] | Tensor = "class"
    net: Literal["main", "weak"] = "main"
    tap: int | Literal["internal"] | None = None
    edits: tuple[Edit, ...] = ()
    x: Tensor | None = None
    t: float | None = None
    only: Tensor | None = None
    attention: int | None = None

    def null(self) -> Query:
        """The same without a class."""
        return replace(self, label="null")

    def with_label(self, label: Tensor) -> Query:
        """The same for other labels (N,) int."""
        return replace(self, label=label)

    def weak(self) -> Query:
        """The same from the weak network."""
        return replace(self, net="weak")

    def internal(self, tap: int | None = None) -> Query:
        """The same from the internal head after block ``tap`` (None: the backbone's trained one)."""
        return replace(self, tap="internal" if tap is None else tap)

    def edited(self, *edits: Edit) -> Query:
        """The same with a changed forward pass."""
        return replace(self, edits=self.edits + edits)

    def where(self, chosen: Tensor) -> Query:
        """The same for some samples alone, (N,) bool."""
        return replace(self, only=chosen)

    def attention_map(self, layer: int) -> Query:
        """The attention map (N, heads, T, T) of a block in the same forward pass."""
        return replace(self, attention=layer)

    def at(self, x: Tensor | None = None, t: float | None = None) -> Query:
        """The same at other latents or another time."""
        return replace(self, x=self.x if x is None else x, t=self.t if t is None else t)


@dataclass(frozen=True)
class Transition:
    """A solver's own step as an affine map: x_next = x_scale x + velocity_scale v + sqrt(variance) n.

    v is the velocity at (x, t) and n standard normal. Euler from t to t' is (1, t' - t, 0); of a step with several
    evaluations it is what the whole step does with a velocity that does not change.
    """

    x_scale: float
    velocity_scale: float
    variance: float = 0.0


@dataclass(frozen=True)
class Step:
    """Where the solver stands. Read-only, but for ``state``, which the sampler keeps if the step is accepted.

    Attributes:
        x: latents (N, C, H, W) in the solver's precision.
        t: time, 1 = noise, 0 = data.
        t_next: the time at which this step ends.
        index: number of the step, from 0; -1 for an adaptive solver.
        count: number of steps; 0 for an adaptive solver.
        stage: 0 for the first evaluation of a step, 1 for Heun's second.
        random: draws keyed by (seed, sample, step).
        state: the method's running values; a copy, kept from stage 0 of an accepted step.
        t_start: the time at which this step began; it differs from ``t`` in stage 1.
        labels: classes of the batch, (N,) int.
        num_classes: number of classes.
        depth: blocks of the main network.
        transition: how this step's end depends on its velocity; None for an adaptive solver, which has no step to tell.
        first: the state that the method left at the first evaluation of this step, in stage 1; None in stage 0.
        once: whether an interval is asked once a step, at its beginning, rather than at each evaluation.
    """

    x: Tensor
    t: float
    t_next: float
    index: int
    count: int
    stage: int
    random: KeyedRandom
    state: dict[str, Any]
    t_start: float
    labels: Tensor
    num_classes: int
    depth: int
    transition: Transition | None = None
    first: Mapping[str, Any] | None = None
    once: bool = False

    @property
    def t_interval(self) -> float:
        """The time at which an interval, closed at both ends, is asked: ``t``, or with ``once`` where the step began.

        Rounded to 12 decimals, for grids are off by rounding (.7000000000000001): a step at a typed border is inside.
        """
        return round(self.t_start if self.once else self.t, 12)


class Guidance(Configurable):
    """Base of all guidance methods. Fields are the parameters; the object holds no running state.

    Attributes:
        space: "any" where the update is affine with weights that sum to one (the same answer in v, x0 and eps);
            else the space in which :meth:`guide` receives and returns: the engine converts.
        fixed_grid: the method needs the solver's steps (``t_next``, ``index``, state), so no adaptive solver.
        neutral: parameters with which it gives the plain conditional velocity; for a check, and for readers.
        summary: the idea in one line.
        paper: source, "Title, arXiv number".
    """

    space: ClassVar[Literal["any"] | Space] = "any"
    fixed_grid: ClassVar[bool] = False
    neutral: ClassVar[Mapping[str, Any]] = {}
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


def as_tuple(request: Query | tuple[Query, ...]) -> tuple[Query, ...]:
    """One query as a round of one."""
    return (request,) if isinstance(request, Query) else tuple(request)


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
        velocities = yield queries
        values = tuple(_in_space(space, step, q, v) for q, v in zip(queries, velocities, strict=True))
        reply = values if isinstance(request, tuple) else values[0]


def _in_space(space: Space, step: Step, query: Query, velocity: Tensor) -> Tensor:
    if query.attention is not None:
        return velocity
    x = step.x if query.x is None else query.x
    return from_velocity(space, x, held(space, step.t if query.t is None else query.t), velocity)


def held(space: Space, t: float) -> float:
    """The time at which velocities are converted: where a space holds no velocity, its limit is taken.

    All noise predictions are x at t = 1 and all data predictions are x at t = 0. The conversions stop 0.001 short of
    that, and since both directions do, a method gets what it would get in the limit.
    """
    return min(t, 1 - 1e-3) if space == "eps" else max(t, 1e-3) if space == "x0" else t


def middle_blocks(depth: int, layers: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """The blocks that a method names; none named: the middle third of ``depth`` blocks, at least one."""
    if layers is not None:
        return layers
    first = depth // 3 + 1
    return tuple(range(first, max(first, 2 * depth // 3) + 1))


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
