"""Code that a run's numbers depend on is in its name: a plug-in of any kind that is edited makes another run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import guidance_bench as gb
from guidance_bench.experiments.benchmark import Setting
from guidance_bench.experiments.runner import Runner
from guidance_bench.experiments.specification import protocol_of
from guidance_bench.experiments.workspace import Workspace
from guidance_bench.training.for_benchmarks import Recipe

TINY = Path(__file__).parents[1] / "helpers" / "tiny_benchmark.py"
SOLVER = """
from guidance_bench import SOLVERS, register_solver
Euler = SOLVERS.entry("euler").cls
@register_solver("names_solver")
class Mine(Euler):
    '''Euler again.'''
    def solve(self, field, x, draw):
        return super().solve(field, x, draw)
"""
METRIC = """
from guidance_bench import Metric, register_metric
@register_metric("names_metric")
class Mine(Metric):
    title = "mine"
    def compute(self, reference, samples):
        return {"names_metric": 1.0}
"""
BACKBONE = """
from guidance_bench import BACKBONES, register_backbone
SiT = BACKBONES.entry("sit").cls
@register_backbone("names_backbone")
class Mine(SiT):
    def build(self):
        return super().build()
"""
METHOD = """
from guidance_bench import Guidance, register_method
@register_method("names_method")
class Mine(Guidance):
    def guide(self, step, query):
        return (yield query)
"""


@pytest.fixture(scope="module", autouse=True)
def _tiny():
    gb.BENCHMARKS.load_file(TINY)


def spec_of(folder: Path, method: str = "none", solver: str = "euler", metrics: tuple[str, ...] = ()):
    benchmark = gb.BENCHMARKS.create("tiny")
    if metrics:
        benchmark.metrics = metrics  # type: ignore[misc]
    runner = Runner(benchmark, gb.SOLVERS.create(solver), Workspace(folder), torch.device("cpu"))
    return runner.specify(Setting(method, {}), 0)


def two_versions(registry, path: Path, text: str, ask):
    """What is asked, with a plug-in, with its edited text, and with the first text again."""
    answers = []
    for code in (text, text + "\nx = 1\n", text):
        path.write_text(code)
        registry.load_file(path)
        answers.append(ask())
    return answers


@pytest.mark.parametrize(
    ("kind", "text", "options"),
    [
        ("SOLVERS", SOLVER, {"solver": "names_solver"}),
        ("METRICS", METRIC, {"metrics": ("frechet_distance", "names_metric")}),
        ("METHODS", METHOD, {"method": "names_method"}),
    ],
)
def test_an_edited_plugin_makes_another_run(kind, text, options, tmp_path):
    specs = two_versions(getattr(gb, kind), tmp_path / "mine.py", text, lambda: spec_of(tmp_path, **options))
    assert specs[0].run_id == specs[2].run_id != specs[1].run_id
    protocols = [protocol_of(spec.as_dict()) for spec in specs]
    assert (protocols[0] == protocols[1]) == (kind == "METHODS"), "two versions of a metric never share a table"


def test_an_edited_backbone_makes_another_network(tmp_path):
    def name() -> str:
        return Recipe("names_backbone", {}, "data", 3, 2, 0.1, 0).name

    first, second, third = two_versions(gb.BACKBONES, tmp_path / "mine.py", BACKBONE, name)
    assert first == third != second
    assert "code" not in Recipe("sit", {}, "data", 3, 2, 0.1, 0).as_dict()


@pytest.mark.parametrize(
    ("registry", "name", "options"),
    [
        (gb.METHODS, "none", {}),
        (gb.SOLVERS, "euler", {}),
        (gb.METRICS, "frechet_distance", {}),
        (gb.BACKBONES, "sit", {}),
        (gb.BENCHMARKS, "tiny", {}),
    ],
)
def test_a_raised_version_of_our_own_makes_another_run_and_version_one_goes_unsaid(
    registry, name, options, tmp_path, monkeypatch
):
    before = spec_of(tmp_path, **options)
    text = str({k: v for k, v in before.as_dict().items() if k != "benchmark"})
    assert "version" not in text and "code" not in before.as_dict()
    monkeypatch.setattr(registry.entry(name).cls, "version", 2)
    after = spec_of(tmp_path, **options)
    assert after.run_id != before.run_id and re.search(r"'version': 2", str(after.as_dict()))


def test_methods_inside_a_composition_bring_their_code(monkeypatch):
    from guidance_bench.guidance.composition import CFGOver

    over = CFGOver(gb.METHODS.create("ig", scale=1.4), scale=1.3)
    assert "version" not in str(over.identity())
    monkeypatch.setattr(gb.METHODS.entry("ig").cls, "version", 2)
    assert over.identity()["methods"][0]["version"] == 2 and "version" not in str(over.parameters())
