"""Every registered method against the checks that ``guidance-bench check-method`` runs, on both architectures."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

import guidance_bench as gb
from guidance_bench.cli.about.check_method import command as check_method_command
from guidance_bench.cli.about.listing import method_cost
from guidance_bench.sampling.method_contract import CHECKS, NETWORKS, make_case, run_checks


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    """What a test registers is forgotten after it."""
    gb.METHODS.names()
    monkeypatch.setattr(gb.METHODS, "_entries", dict(gb.METHODS._entries))


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", gb.METHODS.names())
def test_every_method_passes_every_check(name, network):
    assert run_checks(gb.METHODS.create(name), network) == {}


@pytest.mark.parametrize("name", gb.METHODS.names())
def test_every_method_says_what_it_is(name):
    cls = gb.METHODS.entry(name).cls
    assert cls.summary and cls.__doc__ and (name == "none" or "arXiv" in cls.paper or "NeurIPS" in cls.paper)
    assert cls().evaluations(12) is not None
    assert set(cls.neutral) <= {field.name for field in dataclasses.fields(cls)}
    assert cls.neutral or name == "none"


def test_the_page_states_what_the_ledger_counts():
    """The cost column of methods/README.md; every method has a row."""
    page = Path(gb.METHODS.entry("none").file).parent / "README.md"
    rows = [line.split("|") for line in page.read_text().splitlines() if line.startswith("| `")]
    stated = {row[1].strip(" `"): row[3].strip() for row in rows}
    counted = {name: method_cost(name) for name in stated}
    for name, cost in stated.items():
        number, _, more = cost.partition(" + ")
        named = {"": "", "1 weak": " + 1 of the weak network", "1 backward": " + 1 backward"}[more]
        expected = f"{number} main evaluation{'s' * (number != '1')}{named}"
        assert counted[name] == f"{expected} a step", name
    ours = {name for name in gb.METHODS.names() if gb.METHODS.entry(name).source == "built in"}
    assert set(stated) == {name for name in ours if Path(gb.METHODS.entry(name).file).parent == page.parent}


def broken(check: str) -> type[gb.Guidance]:
    """A method that fails one check."""

    class Broken(gb.Guidance):
        scale: float = 2.0

        def guide(self, step, query):
            cond, null = yield query, query.null()
            return null + self.scale * (cond - null)

    if check == "neutral":

        def guide(self, step, query):
            cond, null = yield query, query.null()
            return null + (self.scale + 0.1) * (cond - null)
    elif check == "effect":

        def guide(self, step, query):
            return (yield query)
    elif check == "space":

        def guide(self, step, query):
            cond, null = yield query, query.null()
            return cond + (self.scale - 1) * 0.1 * (cond - null).abs()
    elif check == "edits":

        def guide(self, step, query):
            cond, null, same = yield query, query.null(), query.edited(gb.Edit("time_noise", (), 1e-12, step.random))
            return null + self.scale * (cond - null) + 0 * same
    elif check == "state":

        def guide(self, step, query):
            cond, null = yield query, query.null()
            self.calls = getattr(self, "calls", 0) + 1
            return null + (1 + (self.scale - 1) * (1 + self.calls / 1000)) * (cond - null)
    elif check == "batches":

        def guide(self, step, query):
            cond, null = yield query, query.null()
            return null + (1 + (self.scale - 1) * len(step.x) / 3) * (cond - null)
    else:

        def guide(self, step, query):
            cond, null = yield query, query.null()
            return null + self.scale * (cond - null) / step.t if self.scale != 1 else cond

    Broken.guide = guide
    if check == "cost":
        Broken.evaluations = lambda self, depth: (1, 1)
    return gb.register_method(f"broken_{check}")(Broken)


@pytest.mark.parametrize("check", ["neutral", "effect", "space", "edits", "state", "batches", "cost", "solvers"])
def test_the_checks_find_what_is_wrong(check):
    assert check in run_checks(broken(check)(), "sit")


def test_the_command_checks_a_file(tmp_path, capsys):
    file = tmp_path / "late_cfg.py"
    file.write_text(
        "from guidance_bench import Guidance, register_method\n\n\n"
        "@register_method('late_cfg_checked')\nclass LateCFG(Guidance):\n"
        "    scale: float = 1.8\n    until: float = 0.6\n\n"
        "    def guide(self, step, query):\n"
        "        if step.t > self.until:\n            return (yield query)\n"
        "        cond, null = yield query, query.null()\n        return null + self.scale * (cond - null)\n"
    )
    assert check_method_command([str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * len(CHECKS) and all(line.endswith("ok") for line in lines)


def test_the_command_names_a_failure(tmp_path, capsys):
    file = tmp_path / "wrong.py"
    file.write_text(
        "from guidance_bench import Guidance, register_method\n\n\n"
        "@register_method('wrong_checked')\nclass Wrong(Guidance):\n    scale: float = 1.8\n\n"
        "    def guide(self, step, query):\n"
        "        cond, null = yield query, query.null()\n        return null + 2 * self.scale * (cond - null)\n"
    )
    assert check_method_command([str(file)]) == 1
    assert "wrong_checked on sit: neutral   FAILED: neutral setting" in capsys.readouterr().out


def test_the_command_wants_one_method():
    with pytest.raises(gb.UserError, match="takes one method"):
        check_method_command(["cfg", "ig"])
    with pytest.raises(gb.UserError, match="unknown method 'cgf'"):
        check_method_command(["cgf"])


def test_random_methods_draw_by_seed():
    for name in ("icg", "tsg", "cads", "tpg", "s2"):
        case = make_case(gb.METHODS.create(name), "sit")
        # s2 draws one of three blocks a step: enough steps that two seeds do not agree by chance.
        assert torch.equal(case.sample(seed=1, steps=12), case.sample(seed=1, steps=12))
        assert not torch.equal(case.sample(seed=1, steps=12), case.sample(seed=2, steps=12)), name
