"""Solvers from t = 1 (noise) to t = 0 (data), all with one signature; guidance is orthogonal to them.

A solver asks ``field(x, t, t_next, index, count, stage)`` for the guided velocity and calls ``field.accept(x_next)``
after each step. ``draw(index)`` gives the noise of a stochastic step.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from itertools import pairwise
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from ..core.errors import UserError
from ..core.parameters import Configurable, param
from ..core.registry import Registry
from ..guidance.method import Transition

Draw = Callable[[int], Tensor]


class Field(Protocol):
    """The guided velocity field."""

    def __call__(self, x: Tensor, t: float, t_next: float, index: int, count: int, stage: int) -> Tensor:
        """Velocity at (x, t), in the shape and precision of x."""

    def accept(self, x_next: Tensor) -> None:
        """The step is taken: keep the method's state."""


class Solver(Configurable):
    """Base of all solvers.

    Attributes:
        fixed_grid: the times are known beforehand; methods with a state need this.
        stochastic: draws noise at its steps.
        summary: one line for ``guidance-bench list``.
    """

    fixed_grid: ClassVar[bool] = True
    stochastic: ClassVar[bool] = False
    summary: ClassVar[str] = ""

    @property
    def once(self) -> bool:
        """Whether intervals of guidance are asked once a step, at its beginning, rather than at each evaluation."""
        return False

    @property
    def draws(self) -> int:
        """How often ``draw`` is called, at most: as often as there are steps, where there are."""
        return int(getattr(self, "steps", 0)) if self.stochastic else 0

    def transition(self, t: float, t_next: float) -> Transition | None:
        """How a step from t to t_next depends on its velocity; None where steps are not known beforehand."""
        return Transition(1.0, t_next - t) if self.fixed_grid else None

    @abstractmethod
    def solve(self, field: Field, x: Tensor, draw: Draw) -> Tensor:
        """Carry ``x`` (N, C, H, W) from t = 1 to t = 0."""


SOLVERS: Registry[Solver] = Registry(
    "solver", "guidance_bench.sampling.solvers", lambda: Solver, "guidance_bench.solvers"
)
register_solver = SOLVERS.register


def time_grid(steps: int, shift: float = 0.0) -> list[float]:
    """``steps + 1`` times from 1 to 0, shifted as LightningDiT does.

    LightningDiT (hustvl/LightningDiT, transport) maps data time s to shift s / (1 + (shift - 1) s); a shift below one
    spends more steps near the noise. 0 and 1 both mean no shift.
    """
    times = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    if shift not in (0.0, 1.0):
        data = 1 - times
        times = 1 - shift * data / (1 + (shift - 1) * data)
    grid: list[float] = times.tolist()
    return grid


@register_solver("euler")
class Euler(Solver):
    """First-order steps on a uniform or shifted grid. An official "num_steps" of time points is ``steps + 1``."""

    summary = "first order, one evaluation a step"
    steps: int = param(50, low=1, doc="number of steps")
    shift: float = param(0.0, doc="timestep shift of LightningDiT; 0 or 1: none")

    def solve(self, field: Field, x: Tensor, draw: Draw) -> Tensor:
        """Integrate; ``draw`` is not used."""
        times = time_grid(self.steps, self.shift)
        for i, (t, t_next) in enumerate(pairwise(times)):
            x = x + (t_next - t) * field(x, t, t_next, i, self.steps, 0)
            field.accept(x)
        return x


@register_solver("heun")
class Heun(Solver):
    """Heun's second-order method; two evaluations a step.

    Upstream SiT and LightningDiT ("heun2") correct every step; the SiT half of the Internal-Guidance program and EDM
    leave the last step, which ends at t = 0, uncorrected. Whether an interval of guidance is on is asked at each
    evaluation in LightningDiT, and once a step, at its first time, in REPA, the SiT half of Internal Guidance and the
    program of the guidance interval (``interval="step"``).
    """

    summary = "second order, two evaluations a step"
    steps: int = param(50, low=1, doc="number of steps")
    shift: float = param(0.0, doc="timestep shift of LightningDiT; 0 or 1: none")
    correct_last: bool = param(True, doc="correct the last step too")
    interval: str = param(
        "evaluation", choices=("evaluation", "step"), quiet=True, doc="an interval is asked at each, or once a step"
    )

    @property
    def once(self) -> bool:
        """Intervals are asked once a step with ``interval="step"``."""
        return self.interval == "step"

    def solve(self, field: Field, x: Tensor, draw: Draw) -> Tensor:
        """Integrate; ``draw`` is not used."""
        times = time_grid(self.steps, self.shift)
        for i, (t, t_next) in enumerate(pairwise(times)):
            first = field(x, t, t_next, i, self.steps, 0)
            x_next = x + (t_next - t) * first
            if i < self.steps - 1 or self.correct_last:
                second = field(x_next, t_next, t_next, i, self.steps, 1)
                x_next = x + (t_next - t) * (first + second) / 2
            x = x_next
            field.accept(x)
        return x


@register_solver("dopri5")
class Dopri5(Solver):
    """Adaptive Dormand-Prince 5(4) of torchdiffeq; its error norm runs over the batch, as in the official programs."""

    fixed_grid = False
    summary = "adaptive fifth order (torchdiffeq); steps depend on the batch"
    atol: float = param(1e-6, doc="absolute tolerance")
    rtol: float = param(1e-3, doc="relative tolerance")

    def solve(self, field: Field, x: Tensor, draw: Draw) -> Tensor:
        """Integrate; ``draw`` is not used."""
        from torchdiffeq import odeint

        def velocity(t: Tensor, y: Tensor) -> Tensor:
            return field(y, float(t), float(t), -1, 0, 0)

        times = torch.tensor([1.0, 0.0], dtype=x.dtype, device=x.device)
        path: Tensor = odeint(velocity, x, times, method="dopri5", atol=self.atol, rtol=self.rtol)
        return path[-1]


@register_solver("euler_maruyama")
class EulerMaruyama(Solver):
    """Euler-Maruyama for the reverse SDE with diffusion 2t (SiT, eq. 8 with w_t = t; REPA and Internal Guidance).

    The drift is v - t score = (2 - t) v + x; ``steps - 1`` noisy steps go from 1 to ``last_step`` and one noiseless
    step from there to 0.
    """

    stochastic = True
    summary = "first-order SDE, diffusion 2t, noiseless last step"
    steps: int = param(250, low=2, doc="number of steps, the last one included")
    last_step: float = param(0.04, low=1e-6, high=0.999, doc="time at which the noiseless last step begins")

    @property
    def draws(self) -> int:
        """The last step is noiseless."""
        return self.steps - 1

    def transition(self, t: float, t_next: float) -> Transition:
        """(1 - h, -h (2 - t), 2 t h) with h = t - t_next; the last step is noiseless."""
        h = t - t_next
        return Transition(1 - h, -h * (2 - t), 2 * t * h if t_next > 0 else 0.0)

    def solve(self, field: Field, x: Tensor, draw: Draw) -> Tensor:
        """Integrate; ``draw(i)`` is the standard normal noise of step i, in the shape of x."""
        times = [*torch.linspace(1, self.last_step, self.steps, dtype=torch.float64).tolist(), 0.0]
        for i, (t, t_next) in enumerate(pairwise(times)):
            drift = (2 - t) * field(x, t, t_next, i, self.steps, 0) + x
            x = x + (t_next - t) * drift
            if i < self.steps - 1:
                x = x + (2 * t * (t - t_next)) ** 0.5 * draw(i)
            field.accept(x)
        return x


def require_fixed_grid(solver: Solver, method: str) -> None:
    """Raise :class:`UserError` where a method that keeps a state meets an adaptive solver."""
    if not solver.fixed_grid:
        raise UserError(f"method {method!r} needs fixed steps; solver {solver.name!r} is adaptive (use euler or heun)")
