"""What a method can ask for beyond velocities: gradients, several weak networks, other methods in a branch."""

from __future__ import annotations

import pytest
import torch

import guidance_bench as gb
from guidance_bench.core.randomness import KeyedRandom
from guidance_bench.guidance.method import Transition
from guidance_bench.sampling.driver import Driver, run_guide
from guidance_bench.sampling.method_contract import make_case, tiny

CASE = make_case(gb.METHODS.create("none"), "sit")
X = torch.randn(3, 2, 1, 1, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
LABELS = torch.tensor([0, 1, 2])


def toy_step(t: float = 0.6, x: torch.Tensor = X) -> gb.Step:
    return gb.Step(x, t, 0.5, 4, 10, 0, KeyedRandom(0, range(len(x)), 4), {}, t, LABELS, 4, 2, Transition(1.0, 0.5 - t))


def asked(method: gb.Guidance, network: gb.Backbone, step: gb.Step, ledger: gb.Ledger | None = None) -> torch.Tensor:
    driver = Driver(network, step.labels, None, gb.Ledger() if ledger is None else ledger)
    with torch.inference_mode():
        return run_guide(method, step, driver.answering(step)).clone()


class Slope(gb.Guidance):
    """The gradient of half the squares of the answer."""

    def guide(self, step, query):
        return (yield query.grad(lambda answer: answer.square().sum(dim=(1, 2, 3)) / 2))


def differences(value, x: torch.Tensor, by: float = 1e-3) -> torch.Tensor:
    """The gradient of a number for each sample by central differences."""
    slope = torch.zeros_like(x)
    for place in range(x[0].numel()):
        change = torch.zeros_like(x).flatten(1)
        change[:, place] = by
        change = change.view_as(x)
        slope.flatten(1)[:, place] = (value(x + change) - value(x - change)) / (2 * by)
    return slope


@pytest.mark.parametrize("space", ["v", "x0", "eps"])
def test_a_gradient_is_that_of_the_answer_in_the_methods_space(space):
    toy = gb.BACKBONES.create("toy").build()

    def half_squares(x: torch.Tensor) -> torch.Tensor:
        v = toy(x, torch.full((3,), 0.6), LABELS).velocity
        answer = {"v": v, "x0": x - 0.6 * v, "eps": x + 0.4 * v}[space]
        return answer.square().sum(dim=(1, 2, 3)) / 2

    slope = asked(type("InSpace", (Slope,), {"space": space})(), toy, toy_step())
    expected = differences(half_squares, X)
    # what is returned is taken as an answer of the space and converted back to a velocity
    expected = {"v": expected, "x0": (X - expected) / 0.6, "eps": (expected - X) / 0.4}[space]
    torch.testing.assert_close(slope, expected, rtol=2e-4, atol=2e-4)


def test_a_gradient_shares_its_forward_pass_and_its_backward_pass_is_counted():
    class Both(gb.Guidance):
        def guide(self, step, query):
            cond, null, slope = yield query, query.null(), query.grad(torch.sum)
            return cond + 0 * null + 0 * slope

    ledger = gb.Ledger()
    method, backbone = Both(), CASE.backbone
    step = gb.Step(
        *(CASE.noise.double(), 0.6, 0.5, 4, 10, 0, KeyedRandom(0, range(3)), {}, 0.6, CASE.labels, 5, backbone.depth)
    )
    both = asked(method, backbone, step, ledger)
    assert (ledger.main, ledger.backward, ledger.nfe, ledger.forwards) == (2, 1, 3, 2)
    assert not both.requires_grad
    torch.testing.assert_close(both, asked(gb.METHODS.create("none"), backbone, step), rtol=1e-5, atol=1e-6)


def test_a_gradient_of_some_samples_leaves_the_others_out():
    class Some(gb.Guidance):
        def guide(self, step, query):
            chosen = torch.tensor([True, False, True])
            some, all_ = yield query.where(chosen).grad(torch.sum), query.grad(torch.sum)
            assert some[1].isnan().all()
            return torch.where(chosen.view(-1, 1, 1, 1), some - all_, 0.0)

    ledger = gb.Ledger()
    toy = gb.BACKBONES.create("toy").build()
    assert asked(Some(), toy, toy_step(), ledger).abs().max() < 1e-6
    assert ledger.backward == pytest.approx(1 + 2 / 3)


def test_reg_in_noise_predictions():
    toy = gb.BACKBONES.create("toy").build()
    t = torch.full((3,), 0.6)

    def noise(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + 0.4 * toy(x, t, y).velocity

    null = torch.full((3,), 4)
    slope = differences(lambda x: noise(x, LABELS).sum(dim=(1, 2, 3)), X)
    guided = noise(X, LABELS) + 0.7 * (1 - 0.6 * slope) * (noise(X, LABELS) - noise(X, null))
    velocity = asked(gb.METHODS.create("reg", scale=1.7), toy, toy_step())
    torch.testing.assert_close(velocity, (guided - X) / 0.4, rtol=2e-4, atol=2e-4)


class Two(gb.Guidance):
    """Away from two weak networks."""

    def guide(self, step, query):
        main, small, young = yield query, query.weak("small"), query.weak("young")
        return main + 0.5 * (main - small) + 0.25 * (main - young)


def test_several_weak_networks_by_name():
    small, young = tiny("weak"), tiny("lightningdit")
    options = {"labels": CASE.labels, "noise": CASE.noise}
    euler = gb.SOLVERS.create("euler", steps=1)
    ledger = gb.Ledger()
    made = gb.sample(CASE.backbone, Two(), euler, weak={"small": small, "young": young}, ledger=ledger, **options)
    main, first, second = (
        net(CASE.noise, torch.ones(3), CASE.labels).velocity for net in (CASE.backbone, small, young)
    )
    torch.testing.assert_close(made, CASE.noise - (1.75 * main - 0.5 * first - 0.25 * second), rtol=1e-4, atol=1e-5)
    assert (ledger.main, ledger.weak) == (1, 2)
    assert ledger.nfe == pytest.approx(1 + (small.cost + young.cost) / CASE.backbone.cost)
    for weak, message in (
        (None, "called 'small' and none is given \\(given: none\\)"),
        (small, "called 'small' and none is given \\(given: weak\\)"),
        ({"small": small}, "called 'young' and none is given \\(given: small\\)"),
        ({"main": small}, "'main' is the name of the network itself"),
        ({"small": 3}, "int is no Backbone"),
    ):
        with pytest.raises(gb.UserError, match=message):
            gb.sample(CASE.backbone, Two(), euler, weak=weak, **options)
    one = gb.sample(CASE.backbone, "autoguidance", euler, weak=small, **options)
    assert torch.equal(one, gb.sample(CASE.backbone, "autoguidance", euler, weak={"weak": small}, **options))


def test_another_method_in_the_branch_without_a_class():
    options = {"labels": CASE.labels, "noise": CASE.noise}
    ig, none = gb.METHODS.create("ig", scale=1.4), gb.METHODS.create("none")
    euler, one = gb.SOLVERS.create("euler", steps=3), gb.SOLVERS.create("euler", steps=1)
    same = gb.sample(CASE.backbone, gb.CFGOver(ig, scale=1.3), euler, **options)
    assert torch.equal(gb.sample(CASE.backbone, gb.CFGOver(ig, scale=1.3, null=ig), euler, **options), same)
    mixed = gb.CFGOver(ig, scale=1.3, null=none)
    ledger = gb.Ledger()
    made = gb.sample(CASE.backbone, mixed, one, ledger=ledger, **options)
    t, null = torch.ones(3), torch.full((3,), CASE.backbone.num_classes)
    full = CASE.backbone(CASE.noise, t, CASE.labels, (2,))
    cond = full.taps[2] + 1.4 * (full.velocity - full.taps[2])
    away = CASE.backbone(CASE.noise, t, null).velocity
    torch.testing.assert_close(made, CASE.noise - (away + 1.3 * (cond - away)), rtol=1e-4, atol=1e-5)
    assert ledger.main == 2
    inside = [m["name"] for m in mixed.identity()["methods"]]
    assert inside == ["ig", "none"] and "null" not in mixed.identity()
    assert gb.CFGOver(ig).identity()["methods"] == gb.CFGOver(ig, null=ig).identity()["methods"]
