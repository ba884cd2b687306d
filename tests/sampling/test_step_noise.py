"""Noise drawn ahead is the noise of the step, whatever is asked in which order; nothing is drawn that no step asks."""

from __future__ import annotations

import threading

import pytest
import torch

import guidance_bench as gb
from guidance_bench.core.randomness import KeyedRandom
from guidance_bench.sampling.step_noise import StepNoise

LIKE = torch.zeros(3, 2, 4, 4, dtype=torch.float64)
RANDOM = KeyedRandom(5, [4, 8, 1])


def plain(index: int) -> torch.Tensor:
    return RANDOM.at(index).normal("sde", (2, 4, 4))


@pytest.mark.parametrize("order", [range(6), [0, 0, 3, 2, 5, 1], [5]])
def test_each_step_has_its_own_noise_in_any_order(order):
    with StepNoise(RANDOM, LIKE, 6) as noise:
        for index in order:
            assert torch.equal(noise(index), plain(index))


def test_it_comes_in_the_precision_of_the_latents():
    with StepNoise(RANDOM, LIKE.float(), 2) as noise:
        assert torch.equal(noise(0), plain(0).float())


def test_the_next_step_is_drawn_while_the_network_works():
    drawn: list[tuple[int, str]] = []
    ready = threading.Event()

    class Noted(KeyedRandom):
        def at(self, step):
            drawn.append((step, threading.current_thread().name))
            if step == 1:
                ready.set()
            return KeyedRandom(self.seed, self.indices, step)

    with StepNoise(Noted(5, [4, 8, 1]), LIKE, 3) as noise:
        noise(0)
        assert ready.wait(5), "nobody draws while step 0 is computed"
        assert torch.equal(noise(1), plain(1)) and torch.equal(noise(2), plain(2))
    assert [step for step, _ in drawn] == [0, 1, 2], "each once, and none beyond the last"
    assert all(name.startswith("noise") for _, name in drawn)


def test_no_thread_is_left_behind_and_none_is_made_for_an_ode():
    before = threading.active_count()
    toy = gb.BACKBONES.create("toy").build()
    options = {"labels": torch.tensor([0, 1]), "noise": torch.ones(2, 2, 1, 1)}
    with pytest.raises(ZeroDivisionError), StepNoise(RANDOM, LIKE, 9) as noise:
        raise ZeroDivisionError(noise(0).sum())
    gb.sample(toy, "none", gb.SOLVERS.create("euler_maruyama", steps=5), **options)
    assert threading.active_count() == before
    assert StepNoise(RANDOM, LIKE, 0)._threads is None


def test_given_noise_is_drawn_noise():
    toy = gb.BACKBONES.create("toy").build()
    solver = gb.SOLVERS.create("euler_maruyama", steps=5)
    options = {"labels": torch.tensor([0, 1]), "noise": torch.ones(2, 2, 1, 1), "seed": 7, "indices": [3, 9]}
    noise = torch.stack([KeyedRandom(7, [3, 9], step).normal("sde", (2, 1, 1)) for step in range(4)])
    assert torch.equal(
        gb.sample(toy, "none", solver, **options), gb.sample(toy, "none", solver, sde_noise=noise, **options)
    )
