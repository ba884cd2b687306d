"""Where the solver stands, as a method sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..core.errors import UserError
from ..core.randomness import KeyedRandom


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
        tokens: of the main network's attention maps, a square grid; 0: it has none.
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
    tokens: int = 0

    @property
    def t_interval(self) -> float:
        """The time at which an interval, closed at both ends, is asked: ``t``, or with ``once`` where the step began.

        Rounded to 12 decimals, for grids are off by rounding (.7000000000000001): a step at a typed border is inside.
        """
        return round(self.t_start if self.once else self.t, 12)

    def starting_from(self, x: Tensor) -> Tensor:
        """What to add to a velocity so that this step leads where that velocity would lead from other latents ``x``.

        This is how a method moves x before a step. In a step with several evaluations it belongs to each of them.

        Raises:
            UserError: the solver is adaptive and has no step of its own.
        """
        if self.transition is None:
            raise UserError("latents are moved before a step, and an adaptive solver has none (use euler or heun)")
        return self.transition.x_scale / self.transition.velocity_scale * (x - self.x)
