"""The one sampler: labels and noise in, guided latents out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.errors import UserError
from ..core.randomness import KeyedRandom
from ..guidance.method import METHODS, Guidance
from ..networks.backbone import Backbone
from ..networks.compiled import compiled
from ..networks.precision import check_precision, in_precision, products
from .door import Weak, check_batch, check_draws, check_kinds, check_weak, each_weak
from .driver import Driver
from .dry_run import check_method, draws_by_step
from .field import GuidedField
from .ledger import Ledger
from .solvers import SOLVERS, Solver, require_fixed_grid
from .step_noise import StepNoise
from .unchanged import Unchanged


def sample(
    backbone: Backbone,
    method: Guidance | str,
    solver: Solver | str,
    *,
    labels: Tensor,
    noise: Tensor,
    weak: Weak = None,
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
        weak: the weaker network, for methods that ask for it; several by the names that they ask for.
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
        UserError: what does not fit together, a method that these networks or this solver cannot serve, or that keeps
            something of a batch in its object; samples that are not finite, by method, step and sample.
    """
    method = METHODS.create(method) if isinstance(method, str) else method
    solver = SOLVERS.create(solver) if isinstance(solver, str) else solver
    check_kinds(backbone, method, solver, weak)
    check_batch(backbone, labels, noise)
    check_weak(backbone, weak)
    check_draws(seed, indices, sde_noise, noise, solver)
    _check_together(backbone, method, solver, weak)
    if precision is not None:
        check_precision(precision)
        chosen = precision
        backbone, weak = in_precision(backbone, chosen), each_weak(weak, lambda net: in_precision(net, chosen))
    if compile:
        backbone, weak = compiled(backbone), each_weak(weak, compiled)
    random = KeyedRandom(seed, range(len(labels)) if indices is None else indices)
    driver = Driver(backbone, labels.to(backbone.device, torch.int64), weak, Ledger() if ledger is None else ledger)
    batch = _Batch(driver, method, solver, random, noise.to(backbone.device, state_dtype), sde_noise)
    with torch.inference_mode(), products(precision):
        latents = batch.latents(noise.dtype)
    return latents.clone()  # outside of inference mode: the caller's tensor is like any other


@dataclass(frozen=True)
class _Batch:
    driver: Driver
    method: Guidance
    solver: Solver
    random: KeyedRandom
    x: Tensor
    sde_noise: Tensor | None

    def latents(self, dtype: torch.dtype) -> Tensor:
        """Finite latents at t = 0 of a method that keeps nothing of them in its object."""
        unchanged = Unchanged(self.method)
        solved = self.solve()
        if not isinstance(solved, Tensor) or solved.shape != self.x.shape:
            raise UserError(f"solver {self.solver.name!r} gives no latents of shape {tuple(self.x.shape)}")
        latents = solved.to(dtype)
        if not bool(latents.isfinite().all()):
            self.solve(traced=True)
            raise UserError(f"method {self.method.name!r} gives samples that are not finite in {dtype}")
        unchanged.check()
        return latents

    def solve(self, traced: bool = False) -> Tensor:
        """Latents at t = 0; ``traced`` as in :class:`GuidedField`."""
        field = GuidedField(self.driver, self.method, self.random, self.solver, traced)
        given = self.sde_noise
        if given is not None:
            return self.solver.solve(field, self.x, lambda index: given[index].to(self.x))
        with StepNoise(self.random, self.x, self.solver.draws) as noise:
            return self.solver.solve(field, self.x, noise)


def _check_together(backbone: Backbone, method: Guidance, solver: Solver, weak: Weak) -> None:
    if method.fixed_grid:
        require_fixed_grid(solver, method.name)
    if not solver.fixed_grid and draws_by_step(method, backbone):
        raise UserError(
            f"method {method.name!r} draws anew at each step; solver {solver.name!r} is adaptive and has no steps to "
            "draw at (use euler or heun)"
        )
    check_method(method, backbone, weak, solver)
