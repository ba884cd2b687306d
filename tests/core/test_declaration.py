"""Mistakes in a plug-in's class are one line with file, class, field and the way out; a broken one stops no other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import guidance_bench as gb
from guidance_bench.core.registry import interrupted

ROOT = Path(__file__).parents[2]
CLASS = """
from __future__ import annotations
from typing import Any, Literal, Optional
from guidance_bench import Guidance, param, register_method

@register_method("{name}")
class Broken(Guidance):
    {field}

    def guide(self, step, query):
        return (yield query)
"""


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("layers: list[int] = []", "field 'layers' has the default [], which all instances would share; write a tuple"),
        ("table: dict = {}", "field 'table' has the default {}"),
        ("table: list[int] = param([1])", "field 'table' has the default [1]"),
        ("scale: float", "field 'scale' has no default; give it one (scale: float = ...)"),
        ("scale: float = param(1.0)\n    other: int", "field 'other' has no default"),
        ("name: str = 'mine'", "field 'name' has the name of something that every Guidance has; call it otherwise"),
        ("version: int = 3", "field 'version' has the name of something"),
        ("summary: str = 'an idea'", "summary = ..., without a type"),
        ("guide: float = 1.0", "field 'guide' has no default"),
        ("init: float = 1.0", "field 'init' has the name of something"),
        ("scale: Floa = 1.0", "an annotation does not resolve"),
        ("scale: float = -1.0", "scale=-1.0 is outside [0, inf]"),
        ("scale: float = 'much'", "scale='much' is not of type float"),
        ("kind: Literal['a', 'b'] = 'c'", "kind='c' is not one of a, b"),
        ("thing: Any = object", "a parameter is a number, a text"),
    ],
)
def test_a_mistake_in_a_class_is_one_line_that_names_it(tmp_path, field, message):
    path = tmp_path / "mine.py"
    path.write_text(CLASS.format(name="declared_wrong", field=field))
    with pytest.raises(gb.UserError) as error:
        gb.METHODS.load_file(path)
    text = str(error.value)
    assert ("\n" not in text) and "mine.py" in text
    if "guide: float" not in field:
        assert message in text and "class Broken" in text
    assert "declared_wrong" not in gb.METHODS.names()


@pytest.mark.parametrize("name", ["a b", "", "1st", "é", "a/b", "..", "class", "a.b", "x\n"])
def test_a_name_that_cannot_stand_in_a_command_is_refused(tmp_path, name):
    path = tmp_path / "mine.py"
    path.write_text(CLASS.format(name="NAME", field="scale: float = 1.0").replace('"NAME"', repr(name)))
    with pytest.raises(gb.UserError, match=r"class Broken: the name .* cannot be used"):
        gb.METHODS.load_file(path)


def test_literal_is_a_choice(tmp_path):
    path = tmp_path / "mine.py"
    fields = "kind: Literal['soft', 'hard'] = 'soft'\n    power: Literal[1, 2] | None = None"
    path.write_text(CLASS.format(name="declared-literal", field=fields))
    assert gb.METHODS.load_file(path) == ["declared-literal"]
    made = gb.METHODS.create("declared-literal", kind="hard", power=2)
    assert made.parameters() == {"kind": "hard", "power": 2}
    for wrong, message in (({"kind": "sof"}, "kind='sof' is not one of soft, hard"), ({"power": 3}, "power=3 is not")):
        with pytest.raises(gb.UserError, match=message):
            gb.METHODS.create("declared-literal", **wrong)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "guidance_bench.cli", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


def test_literal_dashes_and_odd_types_pass_through_the_command_line(tmp_path):
    path = tmp_path / "mine.py"
    fields = (
        "kind: Literal['soft', 'hard'] = 'soft'\n    either: int | str = 3\n    pairs: tuple[int, str] = (1, 'a')"
        "\n    some: Optional[float] = None\n    many: tuple[float, ...] = (1, 2)"
    )
    path.write_text(CLASS.format(name="declared-odd", field=fields))
    words = ["run", "benchmark=digits", f"method={path}", "method.kind=hard", "method.some=1.5", "--cfg", "job"]
    done = run(*words, f"output={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    assert "name: declared-odd" in done.stdout and "kind: hard" in done.stdout


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "GeneratorExit", "SystemExit(3)", "StopIteration"])
def test_a_file_that_raises_anything_is_one_line(tmp_path, error):
    path = tmp_path / "mine.py"
    path.write_text(f"raise {error}\n")
    with pytest.raises(gb.UserError, match=rf"mine\.py' cannot be loaded: {error.partition('(')[0]}"):
        gb.METHODS.load_file(path)


def test_a_person_who_presses_ctrl_c_is_told_from_a_plugin_that_raises_it():
    try:
        exec("import _thread, time\n_thread.interrupt_main()\nfor _ in range(10**7): pass")
    except KeyboardInterrupt as error:
        assert interrupted(error)
    assert not interrupted(KeyboardInterrupt())


@pytest.mark.parametrize(
    ("one", "other"),
    [({"scale": 1}, {"scale": 1.0}), ({"low": -0.0}, {"low": 0.0}), ({"low": 0}, {"low": -0.0})],
)
def test_a_number_has_one_form(one, other):
    first, second = (gb.METHODS.create("cfg", **p).parameters() for p in (one, other))
    assert str(first) == str(second)


def test_elements_of_a_tuple_have_one_form_and_its_range(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(CLASS.format(name="declared_tuple", field="points: tuple[float, ...] = param((0, 1), high=5)"))
    gb.METHODS.load_file(path)
    assert str(gb.METHODS.create("declared_tuple").parameters()) == "{'points': [0.0, 1.0]}"
    assert str(gb.METHODS.create("declared_tuple", points=[1, -0.0, 2]).parameters()) == "{'points': [1.0, 0.0, 2.0]}"
    for wrong, message in (((float("nan"),), "not finite"), ((6,), r"outside \[0, 5\]"), ((10**400,), "not finite")):
        with pytest.raises(gb.UserError, match=message):
            gb.METHODS.create("declared_tuple", points=wrong)


def test_a_class_that_is_used_before_it_is_registered_gets_its_fields():
    class Late(gb.METHODS.entry("ig").cls):
        more: float = 1.5

    assert "more" not in Late().parameters()  # as yet it has the fields of ig alone
    gb.register_method("late_fields")(Late)
    assert gb.METHODS.create("late_fields", more=2).parameters()["more"] == 2.0
