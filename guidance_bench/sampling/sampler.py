"""The one sampler: labels and noise in, guided latents out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..core.errors import UserError
from ..core.randomness import KeyedRandom
from ..guidance.method import METHODS, Guidance, Step
from ..networks.backbone import Backbone
from ..networks.compiled import compiled
from ..networks.precision import check_precision, in_precision, products
from .driver import Driver
from .dry_run import check_method, draws_by_step
from .ledger import Ledger
from .solvers import SOLVERS, Solver, require_fixed_grid


class GuidedField:
    """A method's velocity field for one batch: owns the method's state and builds its steps."""

    def __init__(self, driver: Driver, method: Guidance, random: KeyedRandom, solver: Solver) -> None:
        self.driver = driver
        self.solver = solver
        self.method = method
        self.random = random
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
            x, t, t_next, index, count, stage, random, dict(self.state), start, *facts, moves, first, self.solver.once
        )
        if stage == 0:
            self._first = step
        return self.driver.velocity(self.method, step)

    def accept(self, x_next: Tensor) -> None:
        """Keep what the method left in the state at the step's first stage, and show it where the step led."""
        if self._first is not None:
            self.state = dict(self.method.observe(self._first, x_next, self._first.state))


@torch.inference_mode()
def sample(
    backbone: Backbone,
    method: Guidance | str,
    solver: Solver | str,
    *,
    labels: Tensor,
    noise: Tensor,
    weak: Backbone | None = None,
    sde_noise: Tensor | None = None,
    seed: int = 0,
    indices: Sequence[int] | None = None,
    ledger: Ledger | None = None,
    state_dtype: torch.dtype = torch.float64,
    precision: str | None = None,
    compile: bool = False,
) -> Tensor:
    """Sample latents x0.

    Args:
        backbone: the main network.
        method: a guidance method, or the name of one with its defaults.
        solver: a solver, or the name of one with its defaults.
        labels: classes (N,) int.
        noise: latents at t = 1, (N, C, H, W).
        weak: the weaker network, for methods that ask for it.
        sde_noise: (steps, N, C, H, W), replaces the drawn noise of a stochastic solver.
        seed: of every draw after the initial noise.
        indices: the samples' places in the whole set, which key those draws; 0..N-1 by default.
        ledger: where the cost is counted.
        state_dtype: precision of the latents between steps and of the guidance.
        precision: of the networks, "fp32", "tf32" or "bf16" (:data:`guidance_bench.networks.precision.PRECISIONS`); a
            network of another precision is converted for this call. None: as they are, float32 products in full.
        compile: run the networks through torch.compile; results stay within rounding. The first call compiles.

    Returns:
        Latents at t = 0, (N, C, H, W), in the precision of ``noise``.

    Raises:
        UserError: shapes that do not fit, or a method that these networks or this solver cannot serve.
    """
    method = METHODS.create(method) if isinstance(method, str) else method
    solver = SOLVERS.create(solver) if isinstance(solver, str) else solver
    _check(backbone, method, solver, labels, noise, weak)
    if precision is not None:
        check_precision(precision)
        backbone, weak = in_precision(backbone, precision), weak and in_precision(weak, precision)
    if compile:
        backbone, weak = compiled(backbone), weak and compiled(weak)
    device = backbone.device
    random = KeyedRandom(seed, range(len(labels)) if indices is None else indices)
    driver = Driver(backbone, labels.to(device), weak, ledger if ledger is not None else Ledger())
    x = noise.to(device, state_dtype)

    def draw(index: int) -> Tensor:
        chosen = random.at(index).normal("sde", noise.shape[1:]) if sde_noise is None else sde_noise[index]
        return chosen.to(x)

    with products(precision):
        return solver.solve(GuidedField(driver, method, random, solver), x, draw).to(noise.dtype)


def _check(
    backbone: Backbone, method: Guidance, solver: Solver, labels: Tensor, noise: Tensor, weak: Backbone | None
) -> None:
    if noise.dim() != 4 or tuple(noise.shape[1:]) != backbone.shape:
        raise UserError(f"noise of shape {tuple(noise.shape)} does not fit latents of shape {backbone.shape}")
    if labels.shape != noise.shape[:1]:
        raise UserError(f"{tuple(labels.shape)} labels do not fit {len(noise)} latents")
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) <= backbone.num_classes:
        raise UserError(f"labels must lie in 0..{backbone.num_classes} ({backbone.num_classes} is no class)")
    if method.fixed_grid:
        require_fixed_grid(solver, method.name)
    if not solver.fixed_grid and draws_by_step(method, backbone):
        raise UserError(
            f"method {method.name!r} draws anew at each step; solver {solver.name!r} is adaptive and has no steps to "
            "draw at (use euler or heun)"
        )
    check_method(method, backbone, weak)
