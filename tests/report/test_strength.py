"""Strength in units of CFG, against what it must be."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from commands import TINY

import guidance_bench as gb
from guidance_bench.cli.main import main
from guidance_bench.experiments.records import read_records
from guidance_bench.experiments.runner import Runner
from guidance_bench.experiments.workspace import output_of
from guidance_bench.report.equivalent_cfg import cfg_equivalent_strength
from guidance_bench.report.strength import strengths

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    shape = {"input_size": 8, "patch_size": 4, "in_channels": 1, "num_classes": 10, "num_heads": 2}
    made = gb.BACKBONES.create("sit", **shape, hidden_size=16, depth=2, tap=1).build()
    with torch.no_grad():
        for _, parameter in made.named_parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return made.eval()


def measure(network, method, solver=None, **more):
    noise = torch.randn((4, 1, 8, 8), generator=torch.Generator().manual_seed(1))
    solver = solver or gb.SOLVERS.create("euler", steps=5)
    return cfg_equivalent_strength(network, method, solver, labels=torch.arange(4), noise=noise, **more)


def test_cfg_is_as_strong_as_its_scale_and_none_is_one(network):
    found = measure(network, gb.METHODS.create("cfg", scale=1.7))
    assert found.means == pytest.approx([1.7] * 5, abs=1e-5) and max(found.spreads) < 1e-4
    assert found.times == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])
    assert measure(network, gb.METHODS.create("none")).means == pytest.approx([1.0] * 5, abs=1e-5)


def test_the_update_of_cfg_is_its_scale_times_that_of_the_plain_class(network):
    """|w d| / |v_null| at t = 1, where all trajectories still agree; of no guidance |v_class - v_null| / |v_null|."""
    plain = measure(network, gb.METHODS.create("none"))
    strong = measure(network, gb.METHODS.create("cfg", scale=3.0))
    assert plain.updates[0] > 0 and strong.updates[0] == pytest.approx(3 * plain.updates[0], rel=1e-5)
    noise = torch.randn((4, 1, 8, 8), generator=torch.Generator().manual_seed(1))
    one = torch.ones(4)
    with torch.no_grad():
        null = network(noise, one, torch.full((4,), 10)).velocity
        given = network(noise, one, torch.arange(4)).velocity
    ratios = (given - null).flatten(1).norm(dim=1) / null.flatten(1).norm(dim=1)
    assert plain.updates[0] == pytest.approx(float(ratios.mean()), rel=1e-5)
    assert plain.update_spreads[0] == pytest.approx(float(ratios.std(correction=0)), rel=1e-3)


def test_an_interval_shows_over_time(network):
    found = measure(network, gb.METHODS.create("cfg", scale=2.0, high=0.5))
    assert found.means == pytest.approx([1.0, 1.0, 1.0, 2.0, 2.0], abs=1e-5)
    assert found.mean == pytest.approx(1.4, abs=1e-5)


@pytest.mark.parametrize("name", ["ig", "apg", "sg_prev"])
def test_the_samples_are_those_of_the_method_alone(network, name, monkeypatch):
    """Measuring changes nothing, for methods with state and in other spaces too."""
    from guidance_bench.report import equivalent_cfg as strength

    kept = []
    plain = strength.sample
    monkeypatch.setattr(strength, "sample", lambda *a, **k: kept.append(plain(*a, **k)))
    method = gb.METHODS.create(name)
    solver = gb.SOLVERS.create("heun", steps=3)
    found = measure(network, method, solver)
    noise = torch.randn((4, 1, 8, 8), generator=torch.Generator().manual_seed(1))
    alone = gb.sample(network, method, solver, labels=torch.arange(4), noise=noise)
    assert torch.allclose(kept[0], alone, atol=1e-5)
    assert all(torch.isfinite(torch.tensor(found.means))) and len(found.means) >= 5


def test_networks_are_made_once_for_all_runs_on_them_and_never_taken_for_others(tmp_path, monkeypatch):
    """Two trainings of one benchmark and seed, two methods on each."""
    for steps in (2, 3):
        words = [f"benchmark.train_steps={steps}", "benchmark.samples=20", "benchmark.solver_steps=2", "device=cpu"]
        assert main(["run", f"benchmark={TINY}", f"output={tmp_path}", *words]) == 0
    made = []
    real = Runner.networks
    monkeypatch.setattr(
        Runner, "networks", lambda self, seed: made.append(self.benchmark.train_steps) or real(self, seed)
    )
    found = {record["run_id"]: mean for record, mean in strengths(read_records(tmp_path), tmp_path, CPU, samples=8)}
    assert sorted(made) == [2, 3] and sorted(found.values()) == pytest.approx([1.0, 1.0, 1.5, 1.5], abs=1e-4)
    again = strengths(read_records(tmp_path), tmp_path, CPU, samples=8)
    assert {record["run_id"]: mean for record, mean in again} == found and len(made) == 2


def test_the_strength_of_ones_own_method_takes_its_file(tmp_path):
    own = str(Path(__file__).parents[1] / "plugins" / "late_cfg.py")
    words = ["benchmark.train_steps=2", "benchmark.samples=20", "lineup=false", f"output={tmp_path}", "device=cpu"]
    assert main(["run", f"benchmark={TINY}", f"method={own}", *words]) == 0
    told = ["strength", str(tmp_path), "samples=8", "device=cpu", f"benchmark={TINY}"]
    program = [sys.executable, "-m", "guidance_bench", *told]
    without, done = (
        subprocess.run([*program, *more], capture_output=True, text=True) for more in ([], [f"method={own}"])
    )
    assert without.returncode == 2 and "unknown method 'late_cfg'" in without.stderr
    assert done.returncode == 0 and "late_cfg" in done.stdout and " w_e " in done.stdout
    assert len(list(tmp_path.glob("strength/*.json"))) == 1  # the output folder is that of the runs
    assert output_of(Path("somewhere/else.json")) == Path("outputs")


def test_a_network_whose_classes_are_equal_has_no_strength(network):
    blind = copy.deepcopy(network)
    with torch.no_grad():
        for name, parameter in blind.named_parameters():
            if "label" in name or "class" in name or name.startswith("y_"):
                parameter.zero_()
    with pytest.raises(gb.UserError, match="equal velocities"):
        measure(blind, gb.METHODS.create("cfg"))
