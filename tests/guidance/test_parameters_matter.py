"""Every declared parameter of every method changes the samples somewhere in its range; each edit is the one meant."""

from __future__ import annotations

import math
import typing
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

import guidance_bench as gb
from guidance_bench.core.parameters import Parameter
from guidance_bench.guidance.method import Guidance, Query
from guidance_bench.sampling.driver import run_guide
from guidance_bench.sampling.dry_run import dry_steps
from guidance_bench.sampling.method_contract import Case, make_case

OURS = [name for name in gb.METHODS.names() if gb.METHODS.entry(name).source == "built in"]
#: What a parameter needs beside it to be heard.
BESIDE: dict[tuple[str, str], dict[str, Any]] = {
    ("cfg_schedule", "floor"): {"shape": "clamp_linear"},
    ("cfg_schedule", "power"): {"shape": "power_cosine"},
    ("cfg_schedule", "rate"): {"shape": "exponential"},
}
#: A file's path: what is in it counts (tests of the pre-pass).
FILES = {("recfg", "table")}


def two_heads(method: Guidance) -> Case:
    """A network with two internal heads, three samples."""
    toy = gb.BACKBONES.create("toy").build()

    class TwoHeads(type(toy)):
        trained_taps = (1, 2)

        def predict(self, x, t, y, taps, edits, *, maps=()):
            made = super().predict(x, t, y, taps, edits, maps=maps)
            return gb.Prediction(made.velocity, {k: made.velocity * (1 - 0.1 * k) for k in taps})

    draw = torch.Generator().manual_seed(1)
    return Case(method, TwoHeads(toy.config), toy, torch.tensor([0, 2, 3]), torch.randn(3, 2, 1, 1, generator=draw))


def kinds(parameter: Parameter) -> set[Any]:
    hint = parameter.type
    return set(typing.get_args(hint)) if typing.get_origin(hint) is not tuple else {hint}


def values(parameter: Parameter) -> Iterator[Any]:
    """Values across a parameter's range, its default left out."""
    default, hint = parameter.default, parameter.type
    arguments = {hint, *kinds(parameter)}
    low, high = max(parameter.low, -10.0), min(parameter.high, 30.0)
    tried: list[Any] = list(parameter.choices)
    if any(typing.get_origin(a) is tuple for a in arguments):
        tried += [(1,), (2, 3), (4,)]
    if bool in arguments or isinstance(default, bool):
        tried += [not default]
    elif float in arguments:
        base = default if isinstance(default, float) else 0.0
        near = [base * 1.3 + 0.1, base * 0.7 - 0.1, base * 3 + 1, 0.05, 0.2, 0.45, 0.55, 0.8, 1.0, 2.0]
        tried += [v for v in (*near, low, high) if low <= v <= high]
    elif int in arguments:
        tried += [v for v in range(int(max(low, 0)), int(min(high, 6)) + 1)]
    return (v for v in tried if v != default)


def settings(name: str, parameter: Parameter) -> Iterator[dict[str, Any]]:
    """What stands beside the parameter: the defaults, then each choice of each other one."""
    yield BESIDE.get((name, parameter.name), {})
    for other in gb.METHODS.parameters(name):
        if other.name != parameter.name:
            yield from ({other.name: value} for value in values(other))


def made(case: Case, name: str, parameters: dict[str, Any]) -> torch.Tensor | None:
    try:
        return case.sample(gb.METHODS.create(name, **parameters), steps=6, seed=1)
    except gb.UserError:
        return None


def matters(case: Case, name: str, parameter: Parameter) -> bool:
    for beside in settings(name, parameter):
        before = made(case, name, beside)
        for value in values(parameter):
            after = made(case, name, {**beside, parameter.name: value})
            if before is not None and after is not None and float((after - before).abs().max()) > 1e-6:
                return True
    return False


@pytest.mark.parametrize("name", OURS)
def test_every_parameter_changes_the_samples(name):
    method = gb.METHODS.create(name)
    case, heads = make_case(method, "sit"), two_heads(method)
    told = [p for p in gb.METHODS.parameters(name) if (name, p.name) not in FILES]
    silent = [p.name for p in told if not matters(heads if p.name == "tap" else case, name, p)]
    assert not silent


def asked(method: Guidance, depth_case: Case) -> list[Query]:
    """Everything that a method asks on its way, by a dry run."""
    queries: list[Query] = []

    def answer(round_: tuple[Query, ...]) -> tuple[torch.Tensor, ...]:
        queries.extend(round_)
        return tuple(x * (0.5 + 0.1 * i) for i in range(len(round_)))

    x = depth_case.noise.double()
    for step in dry_steps(method, x, depth_case.labels, depth_case.backbone):
        run_guide(method, step, answer)
    return queries


@pytest.mark.parametrize(
    ("name", "parameters", "kind", "layers", "amount"),
    [
        ("pag", {}, "identity_attention", {(2,)}, 0.0),
        ("pag", {"layers": (3, 4)}, "identity_attention", {(3, 4)}, 0.0),
        ("seg", {}, "query_blur", {(2,)}, math.inf),
        ("seg", {"sigma": 2.5, "layers": (1,)}, "query_blur", {(1,)}, 2.5),
        ("slg", {"layers": (3,)}, "skip_layers", {(3,)}, 0.0),
        ("tpg", {"layers": (3,)}, "token_shuffle", {(3,)}, 0.0),
    ],
)
def test_a_method_makes_its_own_edit_on_its_own_blocks(name, parameters, kind, layers, amount):
    method = gb.METHODS.create(name, **parameters)
    edits = [edit for query in asked(method, make_case(method, "sit")) for edit in query.edits]
    assert edits and {edit.kind for edit in edits} == {kind}
    assert {edit.layers for edit in edits} == layers and {edit.amount for edit in edits} == {amount}


def test_tsgs_noise_fades_with_the_power_of_time():
    method = gb.METHODS.create("tsg", amount=2.0, power=3.0)
    edits = [edit for query in asked(method, make_case(method, "sit")) for edit in query.edits]
    assert [edit.amount for edit in edits] == pytest.approx([2 * (k / 10) ** 3 for k in range(10, 0, -1)], rel=1e-6)


def test_s2_leaves_out_any_block_but_the_first():
    method = gb.METHODS.create("s2", share=0.3, low=0.0, high=1.0)
    case = make_case(method, "sit")
    left_out: set[int] = set()
    for _ in range(3):
        for query in asked(method, case):
            left_out |= {layer for edit in query.edits for layer in edit.layers}
    assert left_out == {2, 3, 4}


def test_sg_prev_guides_below_its_border_and_not_at_it():
    method = gb.METHODS.create("sg_prev", scale=2.0, high=0.5)
    case = make_case(method, "sit")
    x = case.noise.double()
    for step in dry_steps(method, x, case.labels, case.backbone):
        step.state["velocity"] = torch.zeros_like(x)
        guided = run_guide(method, step, lambda queries: (x,))
        assert torch.equal(guided, 2 * x if round(step.t, 9) < 0.5 else x), step.t


@pytest.mark.parametrize("maximum", [1.5, 10.0, 40.0])
def test_feedbacks_scale_is_held_at_its_maximum(maximum):
    """A class that explains nothing of a step drives the scale up, as far as it may go and no further."""
    method = gb.METHODS.create("feedback", max_scale=maximum)
    case = make_case(method, "sit")
    x = case.noise.double()
    step = dry_steps(method, x, case.labels, case.backbone)[4]
    state = method.observe(step, x, {"cond": 1e3 * x, "null": x})
    guided = run_guide(method, replace(step, state=dict(state)), lambda queries: (2 * x, x))
    torch.testing.assert_close(guided, x + maximum * x)
