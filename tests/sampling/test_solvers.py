"""Solvers against the closed form of a Gaussian, their order of convergence, and the time grids."""

from __future__ import annotations

import math

import pytest
import torch

import guidance_bench as gb
from guidance_bench.core.randomness import initial_noise
from guidance_bench.sampling.solvers import time_grid

SPREAD = 0.25


@pytest.fixture(scope="module")
def toy() -> gb.Backbone:
    return gb.BACKBONES.create("toy", num_classes=3, spread=SPREAD).build()


def exact(toy: gb.Backbone, labels: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """One Gaussian N(m, s^2): the flow carries z at t = 1 to m + s z, along sqrt((1-t)^2 s^2 + t^2)."""
    return toy.means[labels].float()[..., None, None] + SPREAD * noise


def error(toy: gb.Backbone, solver: str, **parameters: float) -> float:
    labels = torch.tensor([0, 1, 2, 0])
    noise = initial_noise(3, range(4), (2, 1, 1)).double()
    result = gb.sample(toy, "none", gb.SOLVERS.create(solver, **parameters), labels=labels, noise=noise)
    return float((result - exact(toy, labels, noise)).abs().max())


def test_dopri5_meets_the_closed_form(toy):
    assert error(toy, "dopri5", atol=1e-8, rtol=1e-8) < 1e-6


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2)])
def test_error_falls_with_the_solvers_order(toy, solver, order):
    coarse, fine = error(toy, solver, steps=40), error(toy, solver, steps=160)
    assert math.log(coarse / fine, 4) == pytest.approx(order, abs=0.25)


def test_euler_maruyama_has_the_mean_and_spread_of_the_data(toy):
    labels = torch.zeros(4000, dtype=torch.long)
    noise = initial_noise(0, range(4000), (2, 1, 1))
    solver = gb.SOLVERS.create("euler_maruyama", steps=100, last_step=0.04)
    sde = torch.randn(100, 4000, 2, 1, 1, generator=torch.Generator().manual_seed(0))
    result = gb.sample(toy, "none", solver, labels=labels, noise=noise, sde_noise=sde).flatten(1)
    assert torch.allclose(result.mean(0), toy.means[0].float(), atol=0.015)
    # The noiseless last step shrinks a little of the noise that is left at t = 0.04.
    assert torch.allclose(result.std(0), torch.full((2,), SPREAD), atol=0.015)


def test_time_grid_is_uniform_without_shift_and_lightningdits_with_it():
    assert time_grid(4) == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert time_grid(4, 1.0) == time_grid(4, 0.0)
    data = [0.0, 0.25, 0.5, 0.75, 1.0]
    expected = [1 - 0.3 * s / (1 + (0.3 - 1) * s) for s in data]
    assert time_grid(4, 0.3) == pytest.approx(expected, abs=1e-15)


def test_heun_without_the_last_correction_saves_one_evaluation(toy):
    calls = {}
    for correct_last in (True, False):
        ledger = gb.Ledger()
        solver = gb.SOLVERS.create("heun", steps=5, correct_last=correct_last)
        gb.sample(toy, "none", solver, labels=torch.tensor([0]), noise=torch.ones(1, 2, 1, 1), ledger=ledger)
        calls[correct_last] = ledger.main
    assert calls == {True: 10.0, False: 9.0}


@pytest.mark.parametrize(
    ("labels", "shape", "message"),
    [
        ([0, 1], (3, 2, 1, 1), "labels do not fit"),
        ([0], (1, 3, 1, 1), "does not fit latents of shape (2, 1, 1)"),
        ([9], (1, 2, 1, 1), "labels must lie in 0..3"),
        ([-1], (1, 2, 1, 1), "labels must lie in 0..3"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(toy, labels, shape, message):
    with pytest.raises(gb.UserError) as refused:
        gb.sample(toy, "none", "euler", labels=torch.tensor(labels), noise=torch.zeros(shape))
    assert message in str(refused.value)


def test_heuns_default_interval_goes_unsaid_so_that_runs_keep_their_names():
    assert gb.SOLVERS.create("heun").parameters() == {"steps": 50, "shift": 0.0, "correct_last": True}
    assert gb.SOLVERS.create("heun", interval="evaluation").parameters() == gb.SOLVERS.create("heun").parameters()
    assert gb.SOLVERS.create("heun", interval="step").parameters()["interval"] == "step"
    with pytest.raises(gb.UserError, match="interval='never' is not one of evaluation, step"):
        gb.SOLVERS.create("heun", interval="never")
