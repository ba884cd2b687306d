"""The ruler measures what it says, and its peer computes what we compute."""

from __future__ import annotations

import time

import pytest
import torch
from PIL import Image

from guidance_bench.cli.main import main
from guidance_bench.core.environment import describe
from guidance_bench.experiments.records import committed_results
from guidance_bench.networks.backbone import Backbone
from guidance_bench.speed import evaluation, ruler
from guidance_bench.speed import measure as measuring
from guidance_bench.speed import scaling as scaling_module
from guidance_bench.speed.figure import growth_figure
from guidance_bench.speed.measure import GOALS, MEASUREMENTS, Goal, rows, table
from guidance_bench.speed.ruler import Times, alternate, matrix_rate
from guidance_bench.speed.sampling import DIGITS, Workload
from guidance_bench.speed.scaling import exponent, fixed_part
from guidance_bench.speed.small import SHARED, shares_of_time
from guidance_bench.storage.files import read_json

CPU = torch.device("cpu")


@pytest.mark.parametrize("method", ["none", "ig", "cfg", "cfg_interval", "ig_cfg"])
def test_the_peer_gives_the_same_samples(method):
    work = Workload({**DIGITS, "hidden_size": 32, "depth": 3}, 4, 4, CPU)
    ours, plain = work.ours(method)(), work.plain(method)()
    assert (ours - plain).norm() < 1e-6 * plain.norm()
    if method != "none":
        assert (plain - work.plain("none")()).norm() > 1e-5 * plain.norm()


def test_operations_are_those_of_the_products():
    """Counted by PyTorch itself; the condition's products, one a sample, are not ours to count."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    work = Workload({**DIGITS, "input_size": 16}, 8, 1, CPU)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        work.network(work.noise, torch.full((8,), 0.5), work.labels)
    assert work.operations() == pytest.approx(counter.get_total_flops(), rel=0.03)


def test_ratio_is_the_median_of_the_rounds_ratios():
    times = Times({"a": [2.0, 30.0, 4.0], "b": [1.0, 10.0, 4.0]})
    assert times.ratio("a", "b") == 2.0 and times.median("a") == 4.0


def test_tasks_take_turns_after_a_warm_up():
    order = []
    times = alternate({"a": lambda: order.append("a"), "b": lambda: order.append("b") or time.sleep(0.02)}, 2)
    assert order == ["a", "b"] * 3
    assert min(times.seconds["b"]) >= 0.02 and len(times.seconds["a"]) == 2


def test_the_exponent_of_a_power():
    assert exponent({n: 0.3 * n**1.7 for n in (2, 4, 8)}) == pytest.approx(1.7)
    assert fixed_part({n: 0.5 + 0.3 * n for n in (2, 4, 8)}) == pytest.approx(0.5)
    assert matrix_rate(torch.float32, CPU, size=64)() > 1e6


def test_growth_is_that_of_runs_batches_sizes_widths_and_methods(monkeypatch, tmp_path):
    """A clock that ticks once for each sample, in place of the real one."""
    sizes = {"BLOCKS": (1, 2, 4), "BATCHES": (2, 4), "SIDES": (4, 8), "WIDTHS": (32, 64), "BLOCK": 2}
    for name, values in sizes.items():
        monkeypatch.setattr(scaling_module, name, values)
    ticks = [0.0]
    real = Backbone.forward

    def forward(self, x, *rest, **more):
        ticks[0] += len(x)
        return real(self, x, *rest, **more)

    monkeypatch.setattr(Backbone, "forward", forward)
    monkeypatch.setattr(ruler.time, "perf_counter", lambda: ticks[0])
    found = scaling_module.scaling(1, CPU)
    methods = found["methods"]
    assert {name: round(one["exponent"], 6) for name, one in found.items() if one is not methods} == {
        **{"samples": 1.0, "batch": 1.0, "latents a side": 0.0, "width": 0.0},
    }
    evaluated = {"none": 1.0, "ig": 1.0, "cfg": 2.0, "autoguidance": 2.0, "rectified_cfgpp": 3.0}
    assert (
        evaluated.items() <= methods["evaluations"].items() and evaluated.items() <= methods["time_over_none"].items()
    )
    assert methods["exponent"] == pytest.approx(1, abs=0.05)  # a method that leaves blocks out is counted for less
    assert found["samples"]["seconds"] == {"2": 4.0, "4": 8.0, "8": 16.0}  # two steps a sample
    assert found["batch"]["fixed_seconds"] == pytest.approx(0, abs=1e-9)
    drawn = growth_figure({"results": {"scaling": found}, "environment": describe(CPU)}, tmp_path / "growth")
    with Image.open(drawn.png) as picture:
        assert picture.size == (1380, 960)


def test_the_programs_that_are_timed_beside_ours_give_the_same_distance(monkeypatch):
    monkeypatch.setattr(evaluation, "DIMENSIONS", 24)
    found = evaluation.frechet(1, CPU)
    assert set(found["seconds"]) == {"ours", "scipy", "torch_fidelity"} and found["times_ours_by_median"]["ours"] == 1
    assert max(found["relative_difference"].values()) < 1e-9


@pytest.mark.slow
def test_inception_of_random_weights_gives_torch_fidelitys_features():
    found = evaluation.features(1, CPU)
    assert found["relative_difference"] < 1e-6 and set(found["seconds"]) == {"ours", "torch_fidelity"}


def test_shares_of_time_are_of_the_whole():
    work = Workload({**DIGITS, "hidden_size": 32, "depth": 2}, 4, 2, CPU)
    shares = shares_of_time(work.ours())
    assert set(shares) == set(SHARED) and all(share > 0 for share in shares.values()) and sum(shares.values()) < 1


def test_goals_are_judged_on_the_right_side():
    assert Goal((), "", least=1.6).met(1.6) and not Goal((), "", least=1.6).met(1.59)
    assert Goal((), "", most=1.03).met(1.03) and not Goal((), "", least=0.97, most=1.03).met(1.04)
    assert {goal.path[0] for goal in GOALS} <= set(MEASUREMENTS)
    found = list(rows({"methods": {"cost": {"ig / none": 1.01}, "overhead": 0.05}}))
    assert [(value, met) for _, value, _, met in found] == [(1.01, True), (0.05, False)]


def test_the_verb_prints_and_records(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(measuring, "limit_threads", lambda count: None)
    monkeypatch.setitem(MEASUREMENTS, "methods", lambda rounds, device: {"overhead": 0.01 * rounds})
    path = tmp_path / "speed.json"
    assert main(["speed", "only=methods", "rounds=3", "device=cpu", f"output={path}"]) == 0
    record = read_json(path)
    assert record["results"] == {"methods": {"overhead": 0.03}} and record["environment"]["device"]
    said = capsys.readouterr().out
    assert table(record["results"]) in said and max(map(len, table(record["results"]).splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["only=samplng"], "is not one of"),
        (["rounds=0"], "rounds='0' is not a whole number in 1..99999"),
        (["threads=two"], "is not a whole number"),
        (["now"], "speed takes no 'now'"),
        (["only=small_gpu", "device=cpu"], "needs a CUDA GPU, and device is cpu"),
    ],
)
def test_a_wrong_word_is_one_line(words, message, capsys):
    assert main(["speed", *words]) == 2
    assert message in capsys.readouterr().err


def test_the_committed_record_has_every_goal():
    records = [read_json(file) for file in sorted(committed_results().parent.glob("speed*.json"))]
    assert {work for record in records for work, *_ in rows(record["results"])} == {goal.work for goal in GOALS}
