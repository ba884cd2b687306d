"""What gb.sample and a backbone are given is checked at the door: one sentence, before anything is computed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import guidance_bench as gb
from guidance_bench.guidance.method import Guidance
from guidance_bench.networks.backbone import Edit

SIZES = {"input_size": 4, "patch_size": 2, "in_channels": 2, "num_classes": 3, "hidden_size": 8, "num_heads": 2}


@pytest.fixture(scope="module")
def toy():
    return gb.BACKBONES.create("toy").build()


def sample(network, method="none", solver="euler", **changed):
    values = {"labels": torch.tensor([0, 1]), "noise": torch.zeros(2, *network.shape), **changed}
    if isinstance(solver, str):
        solver = gb.SOLVERS.create(solver, steps=4)
    return gb.sample(network, method, solver, **values)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": torch.tensor([0.0, 1.0])}, "labels of type torch.float32 are no class numbers"),
        ({"labels": torch.tensor([0, 1], dtype=torch.uint8)}, "labels of type torch.uint8"),
        ({"labels": torch.tensor([True, False])}, "labels of type torch.bool"),
        ({"labels": torch.tensor([0, 5])}, "labels must lie in 0..4 (4 is no class); one is 5"),
        ({"labels": torch.tensor([-1, 0])}, "one is -1"),
        ({"labels": [0, 1]}, "must be tensors"),
        ({"labels": torch.tensor([], dtype=torch.int64), "noise": torch.zeros(0, 2, 1, 1)}, "nothing to sample"),
        ({"noise": torch.zeros(2, 2, 1, 1, dtype=torch.int64)}, "noise must hold finite floating-point numbers"),
        ({"noise": torch.full((2, 2, 1, 1), math.nan)}, "noise must hold finite"),
        ({"seed": -1}, "seed=-1 is not a whole number in 0..2^64 - 1"),
        ({"seed": 2**64}, "is not a whole number in 0..2^64 - 1"),
        ({"seed": 1.5}, "seed=1.5 is not"),
        ({"seed": True}, "seed=True is not"),
        ({"indices": [0]}, "indices must be 2 different places, one a sample; got 1"),
        ({"indices": [3, 3]}, "indices must be 2 different places"),
        ({"indices": [-1, 0]}, "indices must lie in 0..2^64 - 1"),
        ({"indices": [0, 2**64]}, "indices must lie in 0..2^64 - 1"),
        ({"method": Guidance}, "is no guidance method: give a name or an instance"),
        ({"method": 3}, "method=3 is no guidance method"),
        ({"solver": 3}, "solver=3 is no solver"),
        ({"weak": 3}, "weak: int is no Backbone"),
        ({"solver": "euler_maruyama", "sde_noise": torch.zeros(3, 1, 2, 1, 1)}, "does not serve (3, 2, 2, 1, 1)"),
        ({"solver": "euler_maruyama", "sde_noise": torch.zeros(2, 2, 2, 1, 1)}, "does not serve (3, 2, 2, 1, 1)"),
        ({"solver": "euler_maruyama", "sde_noise": torch.full((3, 2, 2, 1, 1), math.inf)}, "hold finite numbers"),
    ],
)
def test_what_does_not_fit_is_one_sentence(toy, changed, message):
    with pytest.raises(gb.UserError) as refused:
        sample(toy, **changed)
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_the_null_label_of_a_network_without_one_is_refused():
    network = gb.BACKBONES.create("sit", **SIZES, depth=1, null_label=False).build()
    with pytest.raises(gb.UserError, match=r"labels must lie in 0\.\.2 \(this network has no null label\); one is 3"):
        sample(network, labels=torch.tensor([0, 3]))


@pytest.mark.parametrize(("changed", "what"), [({"num_classes": 4}, "num_classes 4"), ({"in_channels": 3}, "shape")])
def test_a_weak_network_of_other_classes_or_shape_is_refused(changed, what):
    main, weak = (gb.BACKBONES.create("sit", **{**SIZES, **c}, depth=1).build() for c in ({}, changed))
    with pytest.raises(gb.UserError, match=f"the weak network's {what}"):
        sample(main, weak=weak)


def test_other_integers_are_the_same_labels_and_noise_of_more_steps_is_taken(toy):
    wanted = sample(toy, "cfg")
    assert torch.equal(sample(toy, "cfg", labels=torch.tensor([0, 1], dtype=torch.int32)), wanted)
    assert torch.equal(sample(toy, "cfg", labels=torch.tensor([0, 1], dtype=torch.int8)), wanted)
    noise = torch.randn(4, 2, 2, 1, 1, generator=torch.Generator().manual_seed(0))
    first, second = (sample(toy, solver="euler_maruyama", sde_noise=n) for n in (noise, noise[:3]))
    assert torch.equal(first, second)


def test_the_samples_are_tensors_like_any_other(toy):
    made = sample(toy)
    assert not made.is_inference()
    made += 1
    made.requires_grad_().sum().backward()
    assert torch.equal(made.grad, torch.ones_like(made))


@pytest.mark.parametrize(
    ("x", "t", "y", "message"),
    [
        ((2, 2, 1, 1), torch.tensor(0.5), torch.tensor([0, 1]), "t of shape () is not (2,)"),
        ((2, 2, 1, 1), torch.tensor([0.5]), torch.tensor([0, 1]), "t of shape (1,) is not (2,)"),
        ((2, 2, 1, 1), torch.ones(2), torch.tensor([0]), "y of shape (1,) is not (2,)"),
        ((2, 2, 1, 1), torch.ones(2), torch.tensor([0.0, 1.0]), "y of type torch.float32 are no labels"),
        ((2, 2, 1, 1), torch.ones(2), torch.tensor([0, 7]), "y must lie in 0..4; it holds 0 to 7"),
        ((2, 2, 1, 1), torch.ones(2), torch.tensor([-1, 0]), "y must lie in 0..4; it holds -1 to 0"),
        ((2, 3, 1, 1), torch.ones(2), torch.tensor([0, 1]), "x of shape (2, 3, 1, 1) is not (N, *(2, 1, 1))"),
        ((), torch.ones(2), torch.tensor([0, 1]), "x of shape ()"),
    ],
)
def test_a_backbone_says_what_does_not_fit(toy, x, t, y, message):
    with pytest.raises(gb.UserError) as refused:
        toy(torch.zeros(x), t, y)
    assert message in str(refused.value)


class Returns(Guidance):
    """Gives back what a function makes of the velocity."""

    name = "returns"

    def __init__(self, make):
        self.make = make

    def guide(self, step, query):
        return self.make((yield query), step)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda v, s: v[:1], r"returns float64 \(1, 2, 1, 1\) on cpu at step 0 .* where the latents are float64 \(2,"),
        (lambda v, s: v[:, :1], r"returns float64 \(2, 1, 1, 1\)"),
        (lambda v, s: v.flatten(), r"returns float64 \(4,\)"),
        (lambda v, s: v.mean(), r"returns float64 \(\)"),
        (lambda v, s: v.long(), r"returns int64 \(2, 2, 1, 1\)"),
        (lambda v, s: v.to(torch.complex64), "returns complex64"),
        (lambda v, s: v.to("meta"), r"returns float64 \(2, 2, 1, 1\) on meta"),
        (lambda v, s: None, "returns nothing"),
        (lambda v, s: v.numpy(), "returns ndarray"),
    ],
)
def test_a_velocity_of_another_kind_is_refused_by_name(toy, make, message):
    with pytest.raises(gb.UserError, match=rf"method 'returns': guide\(\) {message}"):
        sample_without_dry_run(toy, Returns(make))


def sample_without_dry_run(network, method, solver=None):
    """One batch of two, made without the dry run, whose one sample hides a batch that is broadcast."""
    from guidance_bench.core.randomness import KeyedRandom
    from guidance_bench.sampling.driver import Driver
    from guidance_bench.sampling.field import GuidedField
    from guidance_bench.sampling.ledger import Ledger

    solver = solver or gb.SOLVERS.create("euler", steps=4)
    driver = Driver(network, torch.tensor([0, 1]), None, Ledger())
    field = GuidedField(driver, method, KeyedRandom(0, range(2)), solver)
    return solver.solve(field, torch.ones(2, *network.shape, dtype=torch.float64), lambda i: torch.zeros(1))


def test_a_float32_velocity_is_taken(toy):
    assert sample(toy, Returns(lambda v, s: v.float())).isfinite().all()


def test_a_network_that_answers_in_another_shape_is_refused(toy):
    class Short(type(toy)):
        def predict(self, *args, **kwargs):
            return gb.Prediction(super().predict(*args, **kwargs).velocity[:1])

    with pytest.raises(gb.UserError, match=r"Short answers with float32 \(1, 2, 1, 1\).*where \(2, 2, 1, 1\) is asked"):
        sample(Short(toy.config))


def test_a_method_that_yields_no_query_is_told_how_to_ask(toy):
    class Odd(Guidance):
        name = "odd"

        def guide(self, step, query):
            return (yield step.x)

    with pytest.raises(gb.UserError, match=r"method 'odd': guide\(\) yields float64 .*asks by queries: `yield query`"):
        sample(toy, Odd())


@pytest.mark.parametrize("solver", ["euler", "heun", "euler_maruyama"])
def test_samples_that_are_not_finite_name_method_step_and_sample(toy, solver):
    def spoil(v, step):
        if step.index == 2 and len(v) > 1:
            v[1] = math.inf
        return v

    with pytest.raises(gb.UserError) as refused:
        sample(toy, Returns(spoil), solver, indices=[40, 41])
    assert "the velocity of 'returns' is not finite at step 2 (t = " in str(refused.value)
    assert str(refused.value).endswith("sample 41")


def test_a_network_that_is_not_finite_is_told_from_the_method(toy):
    class Broken(type(toy)):
        def predict(self, x, t, y, taps, edits, *, maps=()):
            made = super().predict(x, t, y, taps, edits, maps=maps)
            made.velocity[t < 0.6] = math.nan
            return made

    with pytest.raises(gb.UserError, match=r"the network's velocity is not finite at step 2 \(t = 0.5\), sample 0"):
        sample(Broken(toy.config))


def test_samples_beyond_the_precision_of_the_noise_are_refused(toy):
    with pytest.raises(gb.UserError, match=r"samples that are not finite in torch\.float16"):
        sample(toy, Returns(lambda v, s: v * 1e7), noise=torch.ones(2, 2, 1, 1, dtype=torch.float16))


def test_more_channels_than_the_latents_have_are_refused(toy):
    with pytest.raises(gb.UserError, match="channels=3 is more than the 2 channels of the latents"):
        sample(toy, gb.METHODS.create("cfg", channels=3))
    assert sample(toy, gb.METHODS.create("cfg", channels=2)).equal(sample(toy, "cfg"))


def test_class_noise_on_an_embedding_without_spread_leaves_it():
    from guidance_bench.backbones.embeddings import mix_with_noise

    from guidance_bench.core.randomness import KeyedRandom

    flat, own = torch.full((1, 64), 0.5), torch.linspace(-1, 3, 64)[None]
    for amount in (0.3, math.inf):
        edit = Edit("class_noise", amount=amount, random=KeyedRandom(0, range(1)))
        assert torch.equal(mix_with_noise(flat, edit), flat)
        mixed = mix_with_noise(own, edit)
        np.testing.assert_allclose([mixed.mean(), mixed.std()], [own.mean(), own.std()], rtol=1e-5)
        assert not torch.allclose(mixed, own)
