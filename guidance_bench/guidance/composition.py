"""Methods made of methods: any method inside an interval or under a schedule, CFG over a method, sums.

    Interval(METHODS.create("apg", scale=3.0), low=0.1, high=0.8)
    CFGOver(METHODS.create("ig", scale=1.4), scale=1.3)
    Sum((METHODS.create("cfg", scale=1.3), METHODS.create("pag", scale=1.5)))

They are methods themselves, so they nest, and ``sample`` takes them like any other. For the command line,
register a class of three lines that passes ``guide`` on to one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from torch import Tensor

from ..core.errors import UserError
from ..core.parameters import param
from .method import METHODS, Guidance, Guide, Query, Step, extrapolate, in_velocity, together
from .prepass import Prepass
from .schedules import RATE, SHAPES, scheduled_scale

#: The methods inside a composition, each under the name of its state.
Parts = dict[str, Guidance]


@dataclass(eq=False)
class Composition(Guidance):
    """Base: keeps the state of each method inside apart. Works in velocities; methods inside are converted."""

    def parts(self) -> Parts:
        """The methods inside."""
        raise NotImplementedError

    def part(self, key: str, step: Step, query: Query) -> Guide:
        """The generator of one of them, at this step and with its own state."""
        return in_velocity(self.parts()[key], self.inner(key, step), query)

    def inner(self, key: str, step: Step) -> Step:
        """The step as a method inside sees it: with its own state, and what that was at the first evaluation."""
        step.state[key] = own = dict(step.state[key])  # a copy: this evaluation may be thrown away
        return replace(step, state=own, first=None if step.first is None else step.first[key])

    def prepare(self, prepass: Prepass) -> tuple[Guidance, dict[str, Any]]:
        """Prepare the methods inside; what they measured, by their names."""
        measured: dict[str, Any] = {}

        def ready(method: Guidance) -> Guidance:
            prepared, facts = method.prepare(replace(prepass, folder=prepass.folder / method.name))
            if facts:
                measured[method.name] = facts
            return prepared

        fields = vars(self)
        changed: dict[str, Any] = {k: ready(fields[k]) for k in ("method", "null") if fields.get(k) is not None}
        if "methods" in fields:
            changed["methods"] = tuple(map(ready, fields["methods"]))
        return replace(self, **changed), measured

    def init(self) -> dict[str, Any]:
        """The states of the methods inside."""
        return {key: method.init() for key, method in self.parts().items()}

    def observe(self, step: Step, x_next: Tensor, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """Show each method inside where the step led."""
        seen = {key: replace(step, state=state[key]) for key in self.parts()}
        return {key: dict(m.observe(seen[key], x_next, state[key])) for key, m in self.parts().items()}

    def parameters(self) -> dict[str, Any]:
        """As plain values, the methods inside with their names."""
        return self._described(lambda method: {"parameters": method.parameters()})

    def identity(self) -> dict[str, Any]:
        """The same, with the identities of the methods inside and what names their code."""
        return self._described(lambda method: {"parameters": method.identity(), **_code(method)})

    def _described(self, describe: Callable[[Guidance], dict[str, Any]]) -> dict[str, Any]:
        own = {k: v for k, v in super().parameters().items() if k not in ("method", "methods", "null")}
        inside = {id(m): m for m in self.parts().values()}.values()
        return {**own, "methods": [{"name": m.name, **describe(m)} for m in inside]}

    def __post_init__(self) -> None:
        super().__post_init__()
        # An instance's answer: it needs fixed steps where a method inside does.
        object.__setattr__(self, "fixed_grid", any(method.fixed_grid for method in self.parts().values()))


@dataclass(eq=False)
class Interval(Composition):
    """A method for low <= t <= high, elsewhere the conditional velocity (Kynkaanniemi et al., arXiv 2404.07724)."""

    name = "interval"
    method: Guidance
    low: float = param(0.0, high=1.0, doc="guided from this time (0 = data)")
    high: float = param(1.0, high=1.0, doc="guided up to this time (1 = noise)")

    def parts(self) -> Parts:
        """The one method."""
        return {"method": self.method}

    def guide(self, step: Step, query: Query) -> Guide:
        """What the method asks inside; one evaluation outside."""
        if not self.low <= step.t_interval <= self.high:
            return (yield query)
        return (yield from self.part("method", step, query))


@dataclass(eq=False)
class Scheduled(Composition):
    """A method whose ``scale`` follows a schedule in t: :func:`~guidance_bench.guidance.schedules.scheduled_scale`."""

    name = "scheduled"
    method: Guidance
    shape: str = param("linear", choices=SHAPES, doc="how the scale grows toward data")
    floor: float = param(1.0, doc="least scale of clamp_linear")
    power: float = param(1.0, doc="s of power_cosine")
    rate: float = param(RATE, quiet=True, doc="of exponential")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not hasattr(self.method, "scale"):
            raise UserError(f"scheduled: method {self.method.name!r} has no parameter 'scale'")

    def parts(self) -> Parts:
        """The one method."""
        return {"method": self.method}

    def guide(self, step: Step, query: Query) -> Guide:
        """As the method at this time's scale."""
        scale = scheduled_scale(self.shape, self.method.scale, step.t, self.floor, self.power, self.rate)  # type: ignore[attr-defined]
        changed: dict[str, Any] = {"scale": scale}
        return (yield from in_velocity(replace(self.method, **changed), self.inner("method", step), query))


@dataclass(eq=False)
class CFGOver(Composition):
    """Classifier-free guidance of a guided velocity: the method runs with the class and without, in one batch.

    v = g(null) + scale (g(class) - g(null)), where g is the method's answer; ``ig_cfg`` is this over ``ig``. The branch
    without a class can have another method, ``null``.
    """

    name = "cfg_over"
    method: Guidance
    scale: float = param(1.5, doc="1 is no CFG")
    low: float = param(0.0, high=1.0, doc="CFG from this time (0 = data)")
    high: float = param(1.0, high=1.0, doc="CFG up to this time (1 = noise)")
    channels: int | None = param(None, low=1, doc="CFG on the first channels only; none: all")
    null: Guidance | None = field(default=None)

    def parts(self) -> Parts:
        """The method of each branch: also one method has a state in each."""
        return {"class": self.method, "null": self.method if self.null is None else self.null}

    def guide(self, step: Step, query: Query) -> Guide:
        """Both branches in lock-step; the branch with the class alone outside the interval."""
        guided = self.part("class", step, query)
        if self.scale == 1 or not self.low <= step.t_interval <= self.high:
            return (yield from guided)
        cond, null = yield from together(guided, self.part("null", step, query.null()))
        return extrapolate(null, cond, self.scale, self.channels)


@dataclass(eq=False)
class Sum(Composition):
    """The updates of several methods added: v + sum over k of (g_k - v), where v is the conditional velocity."""

    name = "sum"
    summary: ClassVar[str] = "updates of several methods added"
    methods: tuple[Guidance, ...] = field(default=())

    def parts(self) -> Parts:
        """By their places."""
        return {str(i): method for i, method in enumerate(self.methods)}

    def guide(self, step: Step, query: Query) -> Guide:
        """All methods in lock-step; what several of them ask is evaluated once."""
        plain, *guided = yield from together(_plain(query), *(self.part(key, step, query) for key in self.parts()))
        total: Tensor = plain
        for velocity in guided:
            total = total + (velocity - plain)
        return total


def changed_with(method: Guidance, solver: str) -> dict[str, Any]:
    """What names a method's code besides where its meaning has changed with one solver alone; {} where it has not.

    ``version`` of a built-in method; ``versions``, by name, of those inside a composition.
    """
    changed: dict[str, Any] = {}
    if method.name in METHODS.names() and METHODS.entry(method.name).source == "built in":
        changed = {"version": method.versions[solver]} if solver in method.versions else {}
    if not isinstance(method, Composition):
        return changed
    inside = {part.name: found for part in method.parts().values() if (found := changed_with(part, solver))}
    return {**changed, **({"versions": inside} if inside else {})}


def _code(method: Guidance) -> dict[str, Any]:
    return METHODS.entry(method.name).code if method.name in METHODS.names() else {}


def _plain(query: Query) -> Guide:
    return (yield query)
