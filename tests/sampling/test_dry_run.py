"""The dry run asks where the method asks, and finds what a method keeps in its object."""

from __future__ import annotations

import random

import pytest
import torch

import guidance_bench as gb
from guidance_bench.guidance.composition import Interval
from guidance_bench.guidance.method import Guidance
from guidance_bench.sampling.dry_run import check_method, dry_times
from guidance_bench.sampling.method_contract import run_checks
from guidance_bench.sampling.unchanged import StateError, Unchanged

SIZES = {"input_size": 4, "patch_size": 2, "in_channels": 2, "num_classes": 3, "hidden_size": 8, "num_heads": 2}


@pytest.fixture(scope="module")
def toy():
    return gb.BACKBONES.create("toy").build()


@pytest.fixture(scope="module")
def no_null():
    return gb.BACKBONES.create("sit", **SIZES, depth=1, null_label=False).build()


@pytest.mark.parametrize("solver", ["euler", "heun", "euler_maruyama"])
def test_an_interval_that_one_step_alone_meets_is_seen_before_anything_runs(no_null, solver):
    """Between 0.803 and 0.8045 lies one of 250 times; none of ten, and none of a hundred."""
    narrow = gb.METHODS.create("cfg", scale=1.5, low=0.803, high=0.8045)
    made = gb.SOLVERS.create(solver, steps=250)
    with pytest.raises(gb.UserError, match="method 'cfg' cannot run here: .*no null label"):
        check_method(narrow, no_null, solver=made)
    weak = gb.METHODS.create("autoguidance", scale=1.5, low=0.803, high=0.8045)
    with pytest.raises(gb.UserError, match="method 'autoguidance' cannot run here: it needs a weak network"):
        check_method(weak, no_null, solver=made)


def test_an_interval_between_the_solvers_times_asks_nothing(no_null):
    between = gb.METHODS.create("cfg", scale=1.5, low=0.81, high=0.82)
    check_method(between, no_null, solver=gb.SOLVERS.create("euler", steps=4))


@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: Interval(m, low=0.3333, high=0.9)])
def test_without_known_steps_every_interval_of_the_parameters_is_asked(no_null, wrap):
    method = wrap(gb.METHODS.create("cfg", scale=1.5, low=0.61231, high=0.61232))
    for solver in (None, gb.SOLVERS.create("dopri5")):
        with pytest.raises(gb.UserError, match="no null label"):
            check_method(method, no_null, solver=solver)
    times = dry_times(method)
    assert times == sorted(times, reverse=True) and times[0] == 1 and times[-1] == 0
    assert {0.61231, 0.61232} <= set(times)


class Keeps(Guidance):
    """Keeps something somewhere; what, is the test's."""

    name = "keeps"
    shared: list[float] = []  # noqa: RUF012

    def __init__(self, keep):
        self.keep = keep
        self.inside = [0.0]
        self.random = random.Random(0)
        self.torch_random = torch.Generator().manual_seed(0)
        self.table = torch.zeros(3)

    def guide(self, step, query):
        self.keep(self, step)
        return (yield query)


def rebind(m, step):
    m.last = step.x


def append(m, step):
    m.inside.append(step.t)


def on_class(m, step):
    m.shared.append(step.t)


def class_attribute(m, step):
    type(m).count = getattr(type(m), "count", 0) + 1


def draw(m, step):
    m.random.random()


def torch_draw(m, step):
    torch.rand(1, generator=m.torch_random)


def write(m, step):
    m.table += 1


KEPT = {
    rebind: "last",
    append: "inside",
    on_class: "Keeps.shared",
    class_attribute: "Keeps.count",
    draw: "random",
    torch_draw: "torch_random",
    write: "table",
}


@pytest.mark.parametrize("keep", KEPT, ids=lambda f: f.__name__)
@pytest.mark.parametrize("solver", ["euler", "dopri5"])
def test_what_a_method_keeps_in_its_object_is_found_and_named(toy, keep, solver):
    labels, noise = torch.tensor([0, 1]), torch.ones(2, 2, 1, 1)
    with pytest.raises(StateError, match=rf"method 'keeps' keeps '{KEPT[keep]}' in its object.*step\.state"):
        gb.sample(toy, Keeps(keep), solver, labels=labels, noise=noise)


@pytest.mark.parametrize("keep", KEPT, ids=lambda f: f.__name__)
def test_the_dry_run_finds_it_before_any_network_is_evaluated(toy, keep):
    ledger = gb.Ledger()
    labels, noise = torch.tensor([0, 1]), torch.ones(2, 2, 1, 1)
    with pytest.raises(StateError, match="in its object"):
        gb.sample(toy, Keeps(keep), "euler", labels=labels, noise=noise, ledger=ledger)
    assert ledger.forwards == 0
    with pytest.raises(StateError, match="in its object"):
        check_method(Keeps(keep), toy)


def test_what_is_kept_only_in_the_real_run_is_found_after_it(toy):
    def late(m, step):
        if len(step.x) > 1:
            m.last = step.x

    labels, noise = torch.tensor([0, 1]), torch.ones(2, 2, 1, 1)
    with pytest.raises(StateError, match="keeps 'last'"):
        gb.sample(toy, Keeps(late), "euler", labels=labels, noise=noise)


def test_a_method_that_keeps_nothing_passes_and_so_does_a_second_use(toy):
    method = Keeps(lambda m, step: None)
    labels, noise = torch.tensor([0, 1]), torch.ones(2, 2, 1, 1)
    first, second = (gb.sample(toy, method, "euler", labels=labels, noise=noise) for _ in range(2))
    assert torch.equal(first, second)
    Unchanged(method).check()


def test_check_method_says_that_the_state_is_not_right():
    keeps = Keeps(append)
    problems = run_checks(keeps, "sit")
    assert "keeps 'inside' in its object" in problems["state"]


@pytest.mark.parametrize("steps", [4, 5, 7, 10, 16, 30, 50, 64, 70, 100, 250, 333, 1000])
def test_a_step_at_a_typed_border_is_inside_for_any_number_of_steps(toy, steps):
    """Of the ``steps`` times k / steps that are evaluated, those with low <= t <= high are guided, ends included."""
    for low, high in ((0.3, 0.7), (0.1, 0.9), (0.2, 0.6), (0.0, 0.7), (0.3, 1.0))[: 1 if steps > 100 else None]:
        ledger = gb.Ledger()
        method = gb.METHODS.create("cfg", scale=1.5, low=low, high=high)
        gb.sample(
            toy,
            method,
            gb.SOLVERS.create("euler", steps=steps),
            labels=torch.tensor([0]),
            noise=torch.ones(1, 2, 1, 1),
            ledger=ledger,
        )
        inside = sum(round(low * 10) * steps <= 10 * k <= round(high * 10) * steps for k in range(1, steps + 1))
        assert ledger.main == steps + inside


@pytest.mark.parametrize("derive", [lambda r: r, lambda r: r.named("null"), lambda r: r.at(3)])
def test_a_draw_from_anything_derived_of_the_steps_source_is_seen(toy, derive):
    """An adaptive solver has no steps to draw at, so a method that draws by step is refused."""
    method = Keeps(lambda m, step: derive(step.random).normal("own", (1,)))
    labels, noise = torch.tensor([0, 1]), torch.ones(2, 2, 1, 1)
    with pytest.raises(gb.UserError, match="method 'keeps' draws anew at each step"):
        gb.sample(toy, method, "dopri5", labels=labels, noise=noise)
