"""A method's velocity field for one batch, as a solver asks for it: owns the method's state and builds its steps."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from ..core.errors import UserError
from ..core.randomness import KeyedRandom
from ..guidance.method import METHODS, Guidance, Step
from ..networks.backbone import Backbone
from .driver import place
from .solvers import Solver


class Answering(Protocol):
    """What a field asks: the driver, or a dry run's stand-in."""

    main: Backbone
    labels: Tensor

    def velocity(self, method: Guidance, step: Step) -> Tensor:
        """The guided velocity at a step."""


class GuidedField:
    """A method's velocity field for one batch.

    Args:
        driver: answers the method's queries.
        method: what guides.
        random: the batch's draws.
        solver: whose steps they are.
        traced: check every velocity, and name the first that is not finite; waits for the device at each step.
    """

    def __init__(
        self, driver: Answering, method: Guidance, random: KeyedRandom, solver: Solver, traced: bool = False
    ) -> None:
        self.driver = driver
        self.solver = solver
        self.method = method
        self.random = random
        self.traced = traced
        self.state: dict[str, Any] = method.init()
        self._first: Step | None = None

    def __call__(self, x: Tensor, t: float, t_next: float, index: int, count: int, stage: int) -> Tensor:
        """The guided velocity at (x, t)."""
        start = self._first.t if stage and self._first else t
        random, main = self.random.at(max(index, 0)), self.driver.main
        facts = (self.driver.labels, main.num_classes, main.depth)
        moves = None if index < 0 else self.solver.transition(start, t_next)
        first = self._first.state if stage and self._first else None
        step = Step(
            *(x, t, t_next, index, count, stage, random, dict(self.state), start, *facts, moves, first),
            once=self.solver.once,
            tokens=main.tokens,
        )
        if stage == 0:
            self._first = step
        velocity = self.driver.velocity(self.method, step)
        if self.traced:
            self._require_finite(velocity, step)
        return velocity

    def accept(self, x_next: Tensor) -> None:
        """Keep what the method left in the state at the step's first stage, and show it where the step led."""
        if self._first is not None:
            self.state = dict(self.method.observe(self._first, x_next, self._first.state))

    def _require_finite(self, velocity: Tensor, step: Step) -> None:
        finite = velocity.isfinite().flatten(1).all(1)
        if bool(finite.all()):
            return
        plain = self.driver.velocity(METHODS.create("none"), step).isfinite().flatten(1).all(1)
        whose = "the network's velocity" if bool((~plain & ~finite).any()) else f"the velocity of {self.method.name!r}"
        sample = self.random.indices[int((~finite).nonzero()[0])]
        raise UserError(f"{whose} is not finite at {place(step)}, sample {sample}")
