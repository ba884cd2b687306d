"""Methods that depend on the solver: its transition, its second evaluation, its steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from guidance_bench.methods.feedback import kernel
from stored_predictions import COND, NULL, OTHER, T_NEXT, T, X, guided, same, step

import guidance_bench as gb
from guidance_bench.experiments.benchmark import Setting
from guidance_bench.experiments.runner import Runner
from guidance_bench.experiments.specification import RunSpec
from guidance_bench.experiments.workspace import Workspace

SDE = gb.SOLVERS.create("euler_maruyama", steps=8)


def sde_step() -> gb.Step:
    return replace(step(), transition=SDE.transition(T, T_NEXT))


def test_the_transition_is_what_the_solver_does():
    class Constant:
        def __call__(self, x, t, t_next, index, count, stage):
            return torch.full_like(x, 0.3)

        def accept(self, x_next):
            steps.append(x_next)

    for name in ("euler", "heun", "euler_maruyama"):
        steps: list[torch.Tensor] = []
        solver = gb.SOLVERS.create(name, steps=4)
        x = torch.full((1, 1, 1, 1), 0.7, dtype=torch.float64)
        times = [1.0, 0.75, 0.5, 0.25, 0.0] if name != "euler_maruyama" else [1.0, 0.68, 0.36, 0.04, 0.0]
        solver.solve(Constant(), x, lambda _: torch.full((1, 1, 1, 1), 2.0, dtype=torch.float64))
        for t, t_next, x_next in zip(times, times[1:], steps, strict=False):
            moves = solver.transition(t, t_next)
            x = moves.x_scale * x + moves.velocity_scale * 0.3 + moves.variance**0.5 * 2.0
            torch.testing.assert_close(x_next, x, rtol=1e-12, atol=1e-12)
    assert gb.SOLVERS.create("dopri5").transition(1.0, 0.0) is None


def test_cfgpp_displaces_by_the_same_under_the_sde():
    """The guided direction moves the step's end by lambda t (1 - t') d, as under Euler."""
    moved = SDE.transition(T, T_NEXT).velocity_scale * (guided("cfgpp", sde_step(), scale=0.6) - NULL)
    same(moved, -0.6 * T * (1 - T_NEXT) * (COND - NULL))
    weight = 0.6 * T * (1 - T_NEXT) / ((T - T_NEXT) * (2 - T))
    same(guided("cfgpp", sde_step(), scale=0.6), NULL + weight * (COND - NULL))


def test_feedbacks_kernel_under_the_sde():
    h = T - T_NEXT
    keeps, takes, variance = kernel(sde_step())
    assert takes == pytest.approx(h * (2 - T) / (T * (1 - T_NEXT)))
    assert variance == pytest.approx(2 * T * h / (1 - T_NEXT) ** 2)
    # the mean is where the transition leads with v = (x - x0) / t
    x0, moves = X - T * COND, SDE.transition(T, T_NEXT)
    same(keeps / (1 - T_NEXT) * X + takes * x0, (moves.x_scale * X + moves.velocity_scale * COND) / (1 - T_NEXT))
    defaults = gb.METHODS.create("feedback")
    assert (defaults.t0, defaults.t1) == (0.716, 0.491)


def test_sg_prev_compares_heuns_second_evaluation_with_the_first_of_the_same_step():
    late = replace(step(0.3, 0.3, stage=1, state={"velocity": OTHER}), first={"velocity": NULL})
    same(guided("sg_prev", late, scale=3.0), COND + 2.0 * (COND - NULL))


@pytest.mark.parametrize("name", gb.METHODS.names())
def test_an_adaptive_solver_is_refused_for_what_draws_by_step(name):
    """Found by what it does: a method whose samples differ between seeds draws, and is refused with a sentence."""
    from guidance_bench.sampling.method_contract import make_case

    case = make_case(gb.METHODS.create(name), "sit")
    first, *others = (case.sample(seed=seed) for seed in range(5))
    draws = not all(torch.equal(first, other) for other in others)
    dopri5 = gb.SOLVERS.create("dopri5", atol=1.0, rtol=1.0)

    def solve() -> torch.Tensor:
        return gb.sample(case.backbone, case.method, dopri5, labels=case.labels, noise=case.noise, weak=case.weak)

    if draws or case.method.fixed_grid:
        with pytest.raises(gb.UserError, match="adaptive"):
            solve()
    else:
        assert solve().isfinite().all()


@pytest.mark.parametrize(
    ("method", "solver", "version"),
    [
        ("cfgpp", "euler", None),
        ("cfgpp", "euler_maruyama", 2),
        ("feedback", "heun", None),
        ("feedback", "euler_maruyama", 2),
        ("sg_prev", "euler", None),
        ("sg_prev", "heun", 2),
        ("cfg", "heun", None),
    ],
)
def test_a_method_mended_for_one_solver_has_new_names_with_that_one_alone(method, solver, version, tmp_path):
    assert specified(method, solver, tmp_path).method.get("version") == version


def specified(method: str, solver: str, folder: Path) -> RunSpec:
    """The specification of a run of the digits."""
    runner = Runner(gb.BENCHMARKS.create("digits"), gb.SOLVERS.create(solver), Workspace(folder), torch.device("cpu"))
    return runner.specify(Setting(method, {}), 0)


@pytest.fixture
def own_registry(monkeypatch):
    """What a test registers is forgotten after it."""
    gb.METHODS.names()
    monkeypatch.setattr(gb.METHODS, "_entries", dict(gb.METHODS._entries))


@pytest.mark.parametrize(
    ("solver", "versions"),
    [
        ("euler", None),
        ("heun", {"interval": {"versions": {"sg_prev": {"version": 2}}}}),
        ("euler_maruyama", {"cfgpp": {"version": 2}}),
    ],
)
def test_a_composition_has_new_names_where_a_method_inside_has(solver, versions, own_registry, tmp_path, monkeypatch):
    file = tmp_path / "both.py"
    file.write_text(
        "from guidance_bench import METHODS, Interval, Sum, register_method\n\n\n"
        "@register_method('both')\nclass Both(Sum):\n"
        "    def parts(self):\n"
        "        inside = Interval(METHODS.create('sg_prev'), 0.0, 0.5)\n"
        "        return {'a': METHODS.create('cfgpp'), 'b': inside, 'c': METHODS.create('cfg')}\n"
    )
    gb.METHODS.load_file(file)
    spec = specified("both", solver, tmp_path)
    assert spec.method.get("versions") == versions and "version" not in spec.method
    for part in ("cfgpp", "sg_prev"):
        monkeypatch.setattr(gb.METHODS.entry(part).cls, "versions", {})
    before = specified("both", solver, tmp_path)
    assert "versions" not in before.method
    assert (before.run_id == spec.run_id) == (versions is None)
