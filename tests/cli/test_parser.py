"""Help, version, completion and mistakes come at once; words reach the verbs as they were typed."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import guidance_bench as gb
from guidance_bench.cli.about.speed import NAMES
from guidance_bench.cli.declared import declared
from guidance_bench.cli.experiments.words import as_list, options
from guidance_bench.cli.main import VERBS, Terminated, main
from guidance_bench.cli.names import PACKAGES
from guidance_bench.cli.parser import help_text, option_names
from guidance_bench.core.errors import UserError
from guidance_bench.experiments.hydra_schema import GROUPS, HIDDEN, RunConfig
from guidance_bench.metrics.base import METRICS
from guidance_bench.networks.autoencoders.base import AUTOENCODERS
from guidance_bench.training.data.source import SOURCES
from guidance_bench.training.recipe import RECIPES

ROOT = Path(__file__).parents[2]
PROBE = (
    "import sys, time; begin = time.process_time(); from guidance_bench.cli.main import main; status = main({words!r});"
    "print(status, time.process_time() - begin, [m for m in ('torch', 'pandas', 'hydra') if m in sys.modules],"
    " file=sys.stderr)"
)


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, env=environment, timeout=60
    )


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_each_verb_has_a_help_of_its_own(verb, capsys):
    assert main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"guidance-bench {verb}")
    assert main([verb, "-h"]) == 0 and capsys.readouterr().out == shown
    assert main(["help", verb]) == 0 and capsys.readouterr().out == shown
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_a_mistyped_option_of_any_verb_imports_nothing_heavy():
    """In one process: what a verb imports stays imported, so the last word holds for all."""
    verbs = sorted(VERBS.keys() - {"version", "run", "check"})
    code = "import sys; from guidance_bench.cli.main import main\n"
    code += "assert [v for v in {verbs!r} if main([v, 'optoin=1']) != 2] == []\n"
    code += "assert not ({{'torch', 'pandas', 'hydra', 'matplotlib', 'scipy', 'numpy'}} & set(sys.modules))\n"
    code += "assert main(['run', 'optoin=1']) == main(['check', 'optoin=1']) == 2 and 'torch' not in sys.modules"
    done = python(code.format(verbs=verbs))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("optoin") == len(verbs) + 2


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_the_help_read_from_the_file_is_the_modules(verb):
    assert help_text(VERBS[verb]) == import_module(f"guidance_bench.cli.{VERBS[verb]}").HELP


def test_evaluates_help_names_the_defaults():
    from guidance_bench.evaluation.evaluate import DEFAULT
    from guidance_bench.features.extraction import BATCH

    shown = help_text(VERBS["evaluate"])
    assert f"(default: {','.join(DEFAULT)})" in shown and f"batch_size={BATCH}," in shown


@pytest.mark.parametrize(
    ("words", "status"),
    [
        *[(["--help"], 0), ([], 2), (["--version"], 0), (["rum"], 2), (["--nope"], 2), (["run", "--help"], 0)],
        *[(["run"], 2), (["list", "method"], 2), (["leaderboard", "/nowhere"], 2), (["leaderboard", "outptu=x"], 2)],
        *[(["export", "x"], 2), (["check-method"], 2), (["check-method", "a", "b"], 2), (["submit", "x"], 2)],
        *[(["evaluate", "x", "reference=y", "batch_size=some"], 2), (["evaluate", "x"], 2), (["train", "recipe=x"], 2)],
        *[(["train", "recipe=x", "data=y", "compile=perhaps"], 2), (["encode", "x", "to=y"], 2)],
        *[(["encode", "x", "to=y", "autoencoder=z", "size=1"], 2), (["speed", "rounds=many"], 2)],
    ],
)
def test_nothing_heavy_is_imported_for_help_and_mistakes(words, status):
    done = python(PROBE.format(words=words))
    code, seconds, heavy = done.stderr.splitlines()[-1].split(" ", 2)
    assert int(code) == status and heavy == "[]", done.stderr
    assert float(seconds) < 0.5  # processor time: the machine may be busy


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["methd=ig"], "unknown option 'methd'"),
        (["benchmark=digitz"], "unknown benchmark 'digitz'"),
        (["benchmark=digits", "method=igg"], "unknown method 'igg'"),
        (["method=ig", "method.scal=2"], "method 'ig' has no parameter 'scal'"),
        (["solver=eulr"], "did you mean 'euler'"),
        (["benchmark.sample=3"], "benchmark 'digits' has no parameter 'sample'"),
    ],
)
def test_mistakes_in_run_are_told_before_torch_is_imported(words, said):
    done = python(PROBE.format(words=["run", *words]))
    code, _, heavy = done.stderr.splitlines()[-1].split(" ", 2)
    assert said in done.stderr and int(code) == 2 and not {"torch", "pandas"} & set(ast.literal_eval(heavy))


def test_an_unknown_name_or_path_is_told_by_any_verb_before_anything_heavy_is_imported():
    """In one process, as above."""
    mistakes = {
        "unknown method 'igg'": ["cite igg", "check-method igg", "tune benchmark=digits method=igg budget=9"],
        "unknown benchmark 'digitz'": ["tune benchmark=digitz method=ig budget=9", "submit . benchmark=digitz"],
        "unknown recipe 'x'": ["train recipe=x data=digits"],
        "unknown source 'x'": ["train recipe=sit_b_2 data=x"],
        "unknown autoencoder 'x'": ["encode . to=y autoencoder=x"],
        "unknown metric 'fad'": ["evaluate . reference=. metrics=fad"],
        "only='x' is not one of": ["speed only=x"],
        "no run 'x'": ["export x to=y.npz"],
        "method file 'x.py' does not exist": ["check-method x.py", "cite x.py"],
        "'x' does not exist: give": ["encode x to=y autoencoder=pixel", "evaluate x reference=y", "leaderboard x"]
        + ["report x", "strength x", "submit x benchmark=digits", "verify x"],
        "'nothing' is no path, no id of a run and no method": ["compare nothing ig"],
    }
    lines = [line for lines in mistakes.values() for line in lines]
    done = python(
        "import sys; from guidance_bench.cli.main import main\n"
        f"assert [line for line in {lines!r} if main(line.split()) != 2] == []\n"
        "assert not ({'torch', 'pandas', 'hydra', 'matplotlib', 'scipy'} & set(sys.modules))"
    )
    assert done.returncode == 0, done.stderr
    told = done.stderr.splitlines()
    expected = [message for message, lines in mistakes.items() for _ in lines]
    assert [m for m, line in zip(expected, told, strict=True) if m not in line] == []


def test_the_names_of_speed_are_those_of_its_measurements():
    from guidance_bench.speed.measure import MEASUREMENTS

    assert tuple(MEASUREMENTS) == NAMES and all(name in help_text("about.speed") for name in NAMES)


def test_what_the_source_declares_is_what_is_registered():
    registries = {**GROUPS, "metric": METRICS, "recipe": RECIPES, "source": SOURCES, "autoencoder": AUTOENCODERS}
    assert registries.keys() == PACKAGES.keys()
    for group, registry in registries.items():
        known = declared(PACKAGES[group], group)
        built_in = [name for name in registry.names() if registry.entry(name).source == "built in"]
        assert sorted(known) == built_in and registry.package == PACKAGES[group]
        assert registry.group == f"guidance_bench.{group}s"
        for name, fields in known.items():
            assert fields in (None, [p.name for p in registry.parameters(name)])
    assert {f for f in RunConfig.__dataclass_fields__ if f not in HIDDEN} == set(options())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("@register_method('a')\nclass A(Guidance):\n    x: float = 1\n    y: ClassVar[int] = 2\n", {"a": ["x"]}),
        ("@register_method('a')\nclass A(Elsewhere):\n    x: float = 1\n", {"a": None}),
        ("register_method('b')(B)\n", {}),
        ("for n in 'ab':\n    METHODS.register(n)(B)\n", {}),
    ],
)
def test_what_the_source_does_not_tell_is_left_to_the_registries(source, expected, tmp_path, monkeypatch):
    (tmp_path / "some_content.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    assert declared("some_content", "method") == expected


def test_version_is_the_packages(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{gb.__version__}\n"


@pytest.mark.parametrize(("raised", "status"), [(KeyboardInterrupt, 130), (Terminated, 143), (UserError, 2)])
def test_what_stops_a_verb_reaches_us_not_the_parser(raised, status, monkeypatch, capsys):
    """typer would turn Ctrl-C into a silent 130."""
    from guidance_bench.cli.about import version

    def stop(arguments):
        raise raised("why")

    monkeypatch.setattr(version, "command", stop)
    assert main(["version"]) == status
    said = capsys.readouterr().err
    assert ("stopped; the same command continues" in said) == (status in (130, 143))


def test_a_closed_pipe_ends_a_verb_quietly():
    """typer would end with 1."""
    done = python(
        "import sys; from guidance_bench.cli.about import version; from guidance_bench.cli.main import main\n"
        "def stop(arguments): raise BrokenPipeError(32, 'Broken pipe')\n"
        "version.command = stop; sys.exit(main(['version']))"
    )
    assert (done.returncode, done.stderr) == (141, "")


def test_an_unknown_option_is_one_line(capsys):
    assert main(["--nope"]) == 2
    said = capsys.readouterr().err.replace("option '--nope'", "option: --nope")  # the words of newer versions
    assert said == "guidance-bench: No such option: --nope (see: guidance-bench --help)\n"


@pytest.mark.parametrize(
    ("typed", "offered"), [("ex", ["export"]), ("export co", ["columns="]), ("submit be", ["benchmark="])]
)
def test_the_shell_completes_verbs_and_options(typed, offered):
    words = f"guidance-bench {typed}"
    done = python(
        "from guidance_bench.cli.main import main; main([])",
        _GUIDANCE_BENCH_COMPLETE="complete_bash",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split()) - 1),
    )
    assert done.stdout.split() == offered, done.stderr


def test_option_names_are_the_words_before_an_equals_sign():
    text = "guidance-bench x a=1 [b=2]\n\n  to=FILE  p.mode=x\n  c=3, d=4\n  to=NAME"
    assert option_names(text) == ["a=", "b=", "c=", "d=", "to="]


def test_run_without_words_starts_nothing_and_says_how_to(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["run"]) == 2
    assert capsys.readouterr().out.startswith("guidance-bench run benchmark=NAME")
    assert list(tmp_path.iterdir()) == []


def test_hydras_own_flags_reach_hydra(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "method=ig", "--cfg", "job", "method.scale=1.3"]) == 0
    shown = capsys.readouterr().out
    assert "name: ig" in shown and "scale: 1.3" in shown
    assert main(["run", "-c", "job"]) == 0 and "benchmark:" in capsys.readouterr().out
    assert main(["run", "--info", "defaults"]) == 0
    assert "Defaults List" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nope", "method=ig"], "unrecognized arguments: --nope"),
        (["method=ig", "--cfg"], "expected one argument"),
        (["-m", "--cfg", "job"], "--multirun and --cfg exclude each other"),
    ],
)
def test_a_flag_that_hydra_would_refuse_is_one_line(words, message, capsys):
    assert main(["run", *words]) == 2
    shown = capsys.readouterr().err
    assert message in shown and shown.count("\n") == 1


@pytest.mark.parametrize(
    ("word", "read"),
    [("seeds=0,1,2", "seeds=[0,1,2]"), ("seeds=5", "seeds=[5]"), ("seeds=[1]", "seeds=[1]"), ("seed=1,2", "seed=1,2")],
)
def test_seeds_may_be_listed_without_brackets(word, read):
    assert as_list(word) == read


def test_public_names_are_all_there_and_torch_waits_for_the_first():
    assert len(gb.__all__) >= 30 and {"METHODS", "sample", "metrics"} <= set(dir(gb))
    assert [name for name in gb.__all__ if getattr(gb, name, None) is None] == []
    done = python(
        "import guidance_bench as gb, sys; print('torch' in sys.modules, gb.METHODS and 'torch' in sys.modules)"
    )
    assert done.stdout.split() == ["False", "True"]
