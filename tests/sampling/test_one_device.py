"""Every tensor of sampling on one device, and no number asked of it: shown with fake CUDA tensors, without a GPU.

What may wait for the device: one method (below), the look for NaN in finished pixels, and dopri5, whose steps hang on
an error (not tried here, nor Inception: both make real tensors inside). The grid of times and the checks at the door
work on the host; they stay outside.
"""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

import guidance_bench as gb
from guidance_bench.core.randomness import KeyedRandom
from guidance_bench.metrics import neighbours
from guidance_bench.sampling import solvers
from guidance_bench.sampling.driver import Driver
from guidance_bench.sampling.ledger import Ledger
from guidance_bench.sampling.sampler import GuidedField
from guidance_bench.storage.pixels import UINT8_RULES, to_uint8

CONFIGS = {
    "sit": {"hidden_size": 32, "depth": 3, "num_heads": 2, "input_size": 8, "num_classes": 10, "tap": 2},
    "lightningdit": {
        **{"hidden_size": 32, "depth": 3, "num_heads": 2, "input_size": 4, "in_channels": 4, "num_classes": 10},
        "tap": 2,
    },
}
STEPS = 2
#: What asks the device for a number, and why.
SYNCHRONISES = {"adaptive": "asks each step whether any sample still goes"}
#: What cannot be tried on a fake device: autograd's engine wants a real one.
DIFFERENTIATES = {"reg"}


class Times(list):
    def tolist(self):
        return list(self)


@pytest.fixture
def times_on_the_host(monkeypatch):
    grid, sde = solvers.time_grid(STEPS), torch.linspace(1, 0.04, STEPS, dtype=torch.float64).tolist()
    monkeypatch.setattr(solvers, "time_grid", lambda steps, shift: grid)
    monkeypatch.setattr(solvers.torch, "linspace", lambda *_, **__: Times(sde))


def solve(backbone: str, solver: str, method: str) -> torch.Tensor:
    main, weak = (gb.BACKBONES.create(backbone, **CONFIGS[backbone], **more).build() for more in ({}, {}))
    shape, labels = main.shape, torch.zeros(2, dtype=torch.long)
    guided = gb.METHODS.create(method)
    field = GuidedField(
        Driver(main, labels, weak, Ledger()), guided, KeyedRandom(0, [0, 1]), gb.SOLVERS.create(solver, steps=STEPS)
    )
    x = torch.zeros(2, *shape, dtype=torch.float64)
    return field.solver.solve(field, x, lambda index: torch.zeros_like(x))


@pytest.mark.parametrize(
    "solver", ["euler", *(pytest.param(n, marks=pytest.mark.slow) for n in ("heun", "euler_maruyama"))]
)
@pytest.mark.parametrize("backbone", CONFIGS)
def test_sampling_stays_on_its_device_and_asks_it_nothing(backbone, solver, times_on_the_host):
    asks = set()
    own = {name for name in gb.METHODS.names() if gb.METHODS.entry(name).source == "built in"}
    for method in sorted(own - DIFFERENTIATES):
        with FakeTensorMode(allow_non_fake_inputs=True), torch.device("cuda"), torch.inference_mode():
            try:
                result = solve(backbone, solver, method)
            except gb.UserError as error:
                assert isinstance(error.__cause__, DataDependentOutputException), (method, error)
                asks.add(method)
                continue
        assert result.device.type == "cuda" and result.dtype == torch.float64, method
    assert asks == set(SYNCHRONISES)


def test_pixels_stay_on_their_device_and_only_the_look_for_nan_asks_it_for_a_number():
    with FakeTensorMode(allow_non_fake_inputs=True), torch.device("cuda"), torch.inference_mode():
        latents = torch.zeros(2, 3, 8, 8)
        assert {rule(latents).device.type for rule in UINT8_RULES.values()} == {"cuda"}
        with pytest.raises(DataDependentOutputException):
            to_uint8(latents, "round")


def test_neighbours_stay_on_their_device():
    with FakeTensorMode(allow_non_fake_inputs=True), torch.device("cuda"), torch.inference_mode():
        x = torch.zeros(6, 16)
        points = neighbours._Points(x, x.square().sum(1), None)
        assert neighbours._radii(points, 3, 4).device.type == "cuda"


@pytest.mark.parametrize("name", CONFIGS)
def test_losses_stay_on_their_device(name):
    with FakeTensorMode(allow_non_fake_inputs=True), torch.device("cuda"):
        network = gb.BACKBONES.create(name, **CONFIGS[name]).build()
        x = torch.zeros(2, *network.shape)
        y, t = torch.zeros(2, dtype=torch.long), torch.zeros(2)
        losses = gb.flow_matching_loss(network, x, y, t, torch.zeros_like(x), tap=2, cosine=True)
    assert {value.device.type for value in losses.values()} == {"cuda"}
