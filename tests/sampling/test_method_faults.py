"""A bug in a method's own code is one line that names method, step, t and the line of its file."""

from __future__ import annotations

import re

import pytest
import torch
from commands import TINY

import guidance_bench as gb
from guidance_bench.cli.main import main

BUGGY = """
from guidance_bench import Guidance, register_method

@register_method("NAME")
class Buggy(Guidance):
    scale: float = 1.5

    def guide(self, step, query):
        velocity = yield query
        if step.index == 2:
            velocity = velocity + self.scael
        return velocity
"""


@pytest.fixture
def buggy(tmp_path, request):
    path = tmp_path / "buggy.py"
    path.write_text(BUGGY.replace("NAME", request.function.__name__))
    return path


def test_a_bug_inside_guide_names_method_step_and_t(buggy):
    (name,) = gb.METHODS.load_file(buggy)
    toy = gb.BACKBONES.create("toy", depth=2).build()
    with pytest.raises(gb.UserError) as caught:
        gb.sample(
            toy, name, gb.SOLVERS.create("euler", steps=4), labels=torch.tensor([0]), noise=torch.ones(1, 2, 1, 1)
        )
    at, _, why = str(caught.value).partition(", buggy.py, line 11: ")
    assert re.fullmatch(rf"method '{name}' failed at step 2 \(t = 0\.\d+\)", at)
    assert why == "AttributeError: 'Buggy' object has no attribute 'scael'"
    assert isinstance(caught.value.__cause__, AttributeError)


def test_a_forgotten_yield_is_answered_with_the_way_out(request):
    class Forgetful(gb.Guidance):
        def guide(self, step, query):
            yield query
            return query - gb.Query(label="null")

    name = request.function.__name__
    gb.register_method(name)(Forgetful)
    toy = gb.BACKBONES.create("toy", depth=2).build()
    with pytest.raises(gb.UserError, match=r"'Query' and 'Query' \(a query becomes a velocity by yield: `v = yield"):
        gb.sample(toy, name, "euler", labels=torch.tensor([0]), noise=torch.ones(1, 2, 1, 1))


def test_the_command_line_says_it_in_one_line(buggy, tmp_path, capsys):
    words = [f"method={buggy}", f"output={tmp_path / 'out'}", "device=cpu", "benchmark.train_steps=2"]
    assert main(["run", f"benchmark={TINY}", *words]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and re.search(r"failed at step 2 \(t = 0\.\d+\), buggy.py, line 11", said)
