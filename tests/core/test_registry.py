"""Registries: names, did-you-mean, collisions, files, parameters."""

from __future__ import annotations

import math
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import guidance_bench as gb
from guidance_bench.core.registry import Registry
from guidance_bench.guidance.method import Guidance

PLUGINS = Path(__file__).parents[1] / "plugins"
METHOD = """
from guidance_bench import Guidance, register_method

@register_method("{name}")
class Method(Guidance):
    scale: float = 1.5

    def guide(self, step, query):
        return (yield query)
"""


def test_the_papers_methods_solvers_and_backbones_are_registered():
    assert {"none", "cfg", "autoguidance", "ig", "ig_cfg"} <= set(gb.METHODS.names())
    assert {"euler", "heun", "dopri5", "euler_maruyama"} <= set(gb.SOLVERS.names())
    assert {"sit", "lightningdit"} <= set(gb.BACKBONES.names())
    assert {"digits", "digits_full"} <= set(gb.BENCHMARKS.names())


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("igg", {}, "unknown method 'igg'"),
        ("igg", {}, "did you mean 'ig'"),
        ("ig", {"scal": 1.0}, "no parameter 'scal' (it has: scale, low, high, tap); did you mean 'scale'?"),
        ("ig", {"scale": "1.7"}, "ig: scale='1.7' is not of type float"),
        ("ig", {"scale": True}, "scale=True is not of type float"),
        ("ig", {"scale": math.nan}, "scale=nan is not finite"),
        ("ig", {"scale": -0.1}, "scale=-0.1 is outside [0, inf]"),
        ("ig", {"high": 1.01}, "high=1.01 is outside [0, 1]"),
        ("ig", {"tap": 1.5}, "tap=1.5 is not of type int or None"),
        ("cfg", {"channels": 0}, "channels=0 is outside [1, inf]"),
    ],
)
def test_a_wrong_name_or_value_is_one_line_that_names_it(name, parameters, message):
    with pytest.raises(gb.UserError) as error:
        gb.METHODS.create(name, **parameters)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_parameters_are_the_dataclass_fields_with_their_types_converted():
    method = gb.METHODS.create("cfg", scale=2)
    assert method.parameters() == {"scale": 2.0, "low": 0.0, "high": 1.0, "channels": None}
    assert isinstance(method.parameters()["scale"], float)


def fresh() -> Registry:
    registry = Registry("method", "guidance_bench.core.randomness", lambda: Guidance)
    registry.names()
    return registry


def test_a_name_registered_twice_names_both_places(tmp_path):
    (tmp_path / "mine.py").write_text(METHOD.format(name="ig"))
    with pytest.raises(gb.UserError, match=r"registered twice: at .*ig\.py:\d+ and at .*mine\.py:\d+"):
        gb.METHODS.load_file(tmp_path / "mine.py")
    assert gb.METHODS.create("ig").name == "ig"


def test_a_file_registers_its_method_and_may_be_loaded_again(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(METHOD.format(name="only_here"))
    assert gb.METHODS.load_file(path) == ["only_here"]
    path.write_text(METHOD.format(name="only_here").replace("1.5", "2.5"))
    assert gb.METHODS.load_file(path) == ["only_here"]
    assert gb.METHODS.create("only_here").scale == 2.5
    assert gb.METHODS.entry("only_here").source == "file"
    assert len(gb.METHODS.entry("only_here").sha256) == 64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "registers no method"),
        ("def broken(:\n", "cannot be loaded: SyntaxError"),
        ("import nothing_of_that_name\n", "cannot be loaded: ModuleNotFoundError"),
        ("import guidance_bench as gb\n@gb.register_method('x')\nclass X: pass\n", "does not derive from Guidance"),
        (METHOD.format(name="unrun").replace("float = 1.5", "'no such type' = 1.5"), "an annotation does not resolve"),
    ],
)
def test_a_file_that_does_not_do_is_refused_with_one_line(tmp_path, text, message):
    path = tmp_path / "wrong.py"
    path.write_text(text)
    with pytest.raises(gb.UserError) as error:
        gb.METHODS.load_file(path)
    assert message in str(error.value) and "wrong.py" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named():
    with pytest.raises(gb.UserError, match=r"'nowhere/mine\.py' does not exist"):
        gb.METHODS.load_file("nowhere/mine.py")


def test_entries_know_their_origin():
    entry = gb.METHODS.entry("ig")
    lines = Path(entry.file).read_text().splitlines()
    assert entry.source == "built in" and entry.sha256 is None
    assert '@register_method("ig")' in lines[entry.line - 1]


def test_the_registries_own_decorator_is_the_public_one():
    registry = fresh()

    @registry.register("mine")
    class Mine(Guidance):
        """A method."""

        scale: float = 3.0

        def guide(self, step, query):
            """The query."""
            return (yield query)

    assert registry.names() == ["mine"]
    assert registry.create("mine", scale=4).scale == 4.0


BROKEN = {
    "interrupts": "raise KeyboardInterrupt",
    "generator_exits": "raise GeneratorExit",
    "exits": "raise SystemExit(3)",
    "fails": "1 / 0",
    "mutable": "@register_method('mutable')\nclass Mutable(Guidance):\n    layers: list = []",
    "no-default": "@register_method('no-default')\nclass NoDefault(Guidance):\n    scale: float",
    "called_name": "@register_method('called_name')\nclass CalledName(Guidance):\n    name: str = 'x'",
    "a b": "class Spaced(Guidance):\n    scale: float = 1.0",
}


def test_a_broken_installed_plugin_is_listed_with_its_reason_and_stops_no_other(tmp_path, monkeypatch):
    names = {**BROKEN, "sound": "class Sound(Guidance):\n    scale: float = 1.0"}
    monkeypatch.syspath_prepend(str(tmp_path))
    points = []
    for i, (name, body) in enumerate(names.items()):
        (tmp_path / f"registry_point_{i}.py").write_text(
            f"from guidance_bench import Guidance, register_method\n{body}\n"
        )
        cls = {"a b": ":Spaced", "sound": ":Sound"}.get(name, "")
        points.append(EntryPoint(name, f"registry_point_{i}{cls}", "guidance_bench.methods"))
    monkeypatch.setattr("guidance_bench.core.registry.entry_points", lambda group: points)
    methods, known = gb.METHODS, dict(gb.METHODS._entries)
    registry = Registry("method", "guidance_bench.core.randomness", lambda: Guidance)
    monkeypatch.setattr("guidance_bench.guidance.method.METHODS", registry)
    monkeypatch.setattr(gb, "register_method", registry.register)
    assert registry.names() == ["sound"] and registry.create("sound").parameters() == {"scale": 1.0}
    broken = registry.broken()
    assert set(broken) == set(BROKEN) and methods._entries == known
    assert all("\n" not in reason for reason in broken.values())
    assert broken["interrupts"] == "KeyboardInterrupt" and broken["generator_exits"] == "GeneratorExit"
    for name, words in {
        "mutable": ("registry_point_4.py", "class Mutable", "'layers'", "write a tuple"),
        "no-default": ("registry_point_5.py", "class NoDefault", "'scale'", "give it one"),
        "called_name": ("registry_point_6.py", "class CalledName", "'name'", "call it otherwise"),
        "a b": ("registry_point_7.py", "class Spaced", "'a b'", "letters, digits"),
    }.items():
        assert all(word in broken[name] for word in words), broken[name]
    with pytest.raises(gb.UserError, match="method 'mutable' is broken: .*write a tuple"):
        registry.create("mutable")
