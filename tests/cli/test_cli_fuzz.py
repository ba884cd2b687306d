"""Wrong commands, configurations and files: every one exit status 2, one line, no traceback, nothing begun."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys

import pytest
from commands import ROOT
from PIL import Image
from wrong_commands import all_wrong

from guidance_bench.cli.main import VERBS as ALL_VERBS
from guidance_bench.cli.main import main
from guidance_bench.experiments.records import committed_results

NUMBERS = ["nan", "inf", "-inf", "-1", "abc", "", "null", "[1,x]", "{a:1}", "true", "1e999", "'1.5'", "1;2"]
WHOLE = ["-1", "0", "1.5", "nan", "abc", "", "null", "[3]", "{a:1}", "1e3", "true"]
FILES = {
    "empty.py": "",
    "syntax.py": "def (:",
    "raises.py": "raise RuntimeError('first line\\nsecond line')",
    "quits.py": "raise SystemExit(3)",
    "imports.py": "import no_such_module_at_all",
    "foreign.py": "from guidance_bench import register_method\n@register_method('x')\nclass X: pass",
    "twice.py": (
        "from guidance_bench import Guidance, register_method\n@register_method('cfg')\nclass X(Guidance): pass"
    ),
    "several.py": (
        "from guidance_bench import Guidance, register_method\n"
        "@register_method('a1')\nclass A(Guidance): pass\n@register_method('a2')\nclass B(Guidance): pass"
    ),
    "default.py": (
        "from guidance_bench import Guidance, register_method\n@register_method('late')\n"
        "class A(Guidance):\n    scale: float = -1.0\n    def guide(self, step, query):\n        return (yield query)"
    ),
    "text.txt": "no python",
    "bytes.py": b"\xff\xfe\x00",
}

VERBS = [
    ["rum"],
    ["--run"],
    ["run", "--help-me"],
    ["-x"],
    ["run", "-c", "jobs"],
    [""],
    ["run run"],
    ["RUN"],
    ["évaluer"],
]
OPTIONS = [
    *("benchmrk=digits", "=", "=x", "method", "a=b=c", "solver.steps=3", "method.scale=2", "benchmark..x=1"),
    *("benchmark.=1", ".x=1", "~", "~benchmark", "+", "++x=1", "+x=1", "@=2", "benchmark@x=digits"),
    *("seed=[", "seed={", "seed='", 'seed="', "seed=${nope}", "seed=${oc.env:NO_SUCH_VARIABLE_AT_ALL}"),
    *("output=${", "output='${'", "hydra=1", "hydra.nope=1", "hydra.job=3", "hydra.run.dir=[1]", "hydra.sweep=x"),
    *("hydra/launcher=nope", "hydra/sweeper=nope", "hydrae.x=1", "plugins=[x]", "command=x", "defaults=[]"),
    *("method=[cfg,ig]", "method={cfg:1}", "method=1", "method=''", "method=null", "solver=null", "benchmark=null"),
    *("benchmark=", "benchmark=digit", "benchmark=/", "benchmark=../x", "benchmark=digits/x", "method=cgf"),
    *("method=CFG", "method=é", "solver=eulr", "solver=../../etc/passwd", "\x00", "\n", "a\nb=1", "é=1"),
    *("x" * 5000, "seed=" + "9" * 40),
]
DEVICES = ["device=gpu", "device=cuda:99", "device=cpu:x", "device=", "device=1e3", "device=[cpu]", "device=meta"]
OUTPUTS = [
    "output=/proc/x/y",
    "output=empty.py",
    "output=empty.py/x",
    "output=/dev/null",
    "output=" + "x" * 300,
    "output=[a]",
]


def commands() -> list[list[str]]:
    run = ["run", "benchmark=digits", "device=cpu"]
    wrong = [["run", "device=cpu", option] for option in OPTIONS]
    wrong += [[*run, "method=cfg", f"method.scale={value}"] for value in NUMBERS if value != "'1.5'"]
    wrong += [[*run, "method=cfg", f"method.high={value}"] for value in ("2.5", "-0.1", "nan", "x")]
    wrong += [[*run, "method=ig", f"method.tap={value}"] for value in ("1.5", "x", "-2", "[1]")]
    wrong += [[*run, "solver=euler", f"solver.steps={value}"] for value in WHOLE]
    wrong += [[*run, "solver=dopri5", f"solver.atol={value}"] for value in ("nan", "-1", "x", "inf")]
    wrong += [[*run, f"benchmark.samples={value}"] for value in WHOLE]
    wrong += [[*run, f"benchmark.block={value}"] for value in WHOLE]
    wrong += [
        [*run, f"benchmark.seeds={value}"] for value in ("[-1]", "[x]", "[1.5]", "[18446744073709551616]", "{a:1}", "a")
    ]
    wrong += [[*run, f"benchmark.methods={value}"] for value in ("[nope]", "[1]", "{a:1}", "[[cfg]]")]
    wrong += [[*run, f"benchmark.labels={value}"] for value in ("sorted", "1", "null", "[random]")]
    wrong += [[*run, f"seed={value}"] for value in ("-1", "x", "1.5", "[1]", "18446744073709551616")]
    wrong += [[*run, f"batch={value}"] for value in ("0", "-3", "x", "1.5")]
    wrong += [["run", option] for option in DEVICES] + [[*run, option] for option in OUTPUTS]
    wrong += [[*run, f"method={name}"] for name in FILES] + [
        [*run, f"benchmark={name}"] for name in ("empty.py", "syntax.py")
    ]
    wrong += [
        [*run, "method=several.py:a3"],
        [*run, "method=nothing.py"],
        [*run, "method=.py"],
        [*run, "method=folder.py"],
    ]
    wrong += [
        [*run, "method=cfg", "-m", f"method.{sweep}"] for sweep in ("scale=1,x", "sale=1,2", "scale=", "scale=range(")
    ]
    wrong += [
        [*run, "-m", "method=cfg,nope"],
        [*run, "-m", "method=cfg,none", "method.scale=1"],
        [*run, "--multirun", "seed=0,x"],
    ]
    wrong += [["list", "method"], ["list", "metrics", "x"], ["list", ""], ["list", "output=1"]]
    wrong += [["leaderboard", *rest] for rest in (["nothing"], ["empty.py"], ["a", "b"], ["outptu=x"], ["folder.py"])]
    wrong += [
        ["export", *rest] for rest in (["x"], ["to=a.npz"], ["x", "to=a.npz"], ["folder.py", "to=a.npz"], ["x", "y=1"])
    ]
    evaluate = [
        [],
        ["reference=x"],
        ["nothing", "reference=x"],
        ["empty.py", "reference=empty.py"],
        ["folder.py", "refrence=x"],
    ]
    evaluate += [
        ["folder.py"],
        ["folder.py", "reference=nothing"],
        ["folder.py", "reference=folder.py", "metrics=nope"],
    ]
    evaluate += [["folder.py", "reference=folder.py", f"batch_size={v}"] for v in ("0", "x", "-1", "1.5", "")]
    wrong += [["evaluate", *rest] for rest in evaluate if rest]
    return [*VERBS, *wrong]


WRONG = commands()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    for name in ("folder.py", "pictures/a", "records"):
        (tmp_path / name).mkdir(parents=True)
    for i in range(4):
        for place in ("pictures", "pictures/a"):
            Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / place / f"{i}.png")
    shutil.copy(min(committed_results().glob("*/records/*.json")), tmp_path / "records")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_are_at_least_two_hundred():
    assert len({tuple(command) for command in WRONG}) >= 200


@pytest.mark.parametrize("arguments", WRONG, ids=[str(i) for i in range(len(WRONG))])
def test_a_wrong_command_gets_one_line_and_status_2(folder, capfd, arguments):
    before = sorted(os.listdir(folder))
    assert main(arguments) == 2, arguments
    said = capfd.readouterr()
    assert said.err.startswith("guidance-bench: ") and said.err.count("\n") == 1 and len(said.err) > 25, (
        arguments,
        said.err,
    )
    assert "Traceback" not in said.err and not said.out, arguments
    assert set(os.listdir(folder)) - set(before) <= {"outputs", "__pycache__"}
    assert not list(folder.rglob("record.json"))


EVERY = all_wrong()
FEW = 80


def fault(arguments, folder, capfd) -> str | None:
    """What is wrong with the answer to a wrong command."""
    before = set(os.listdir(folder)) | {"__pycache__"}
    status = main(arguments)
    said = capfd.readouterr()
    good = status == 2 and said.err.startswith("guidance-bench: ") and 25 < len(said.err) < 1000
    quiet = not said.out or arguments[0] == "evaluate"  # which says what images it has found
    if (
        good
        and quiet
        and said.err.count("\n") == 1
        and "Traceback" not in said.err
        and set(os.listdir(folder)) <= before
    ):
        return None
    return f"{[word[:80] for word in arguments]}: {status}, {said.err[:300]!r}, {said.out[:80]!r}"


@pytest.fixture
def no_job(monkeypatch):
    """A command that would begin its work was not refused."""

    def begin(*arguments, **named):
        raise AssertionError("the job was started")

    for place in (
        "experiments.runner.Runner.run_all",
        "training.trainer.Trainer.run",
        "training.latents.encode.encode",
    ):
        monkeypatch.setattr(f"guidance_bench.{place}", begin)


def test_a_sample_of_all_wrong_commands(folder, capfd, no_job):
    for arguments in random.Random(11).sample(EVERY, FEW):
        assert fault(arguments, folder, capfd) is None


@pytest.mark.slow
def test_all_wrong_commands(folder, capfd, no_job):
    """A minute; of every verb there are some."""
    faults = [found for arguments in EVERY if (found := fault(arguments, folder, capfd))]
    assert not faults, f"{len(faults)} of {len(EVERY)}:\n" + "\n".join(faults)
    assert len({tuple(words) for words in [*EVERY, *WRONG]}) >= 2000
    assert {words[0] for words in EVERY} >= set(ALL_VERBS)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [WRONG[0], ["run", "benchmark=digit"], ["run", "method=syntax.py"], ["list", "x"]]
)
def test_the_same_in_a_process_of_its_own(folder, arguments):
    done = subprocess.run(
        [sys.executable, "-m", "guidance_bench.cli", *arguments],
        capture_output=True, text=True, check=False, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and not done.stdout


def test_a_mistake_does_not_spoil_the_next_command(capsys):
    """Hydra and the registries keep global state; a wrong command must leave none behind."""
    for wrong in (["run", "method=several.py:a3"], ["run", "method=cfg", "method.scale=x", "device=cpu"]):
        assert main(wrong) == 2
    capsys.readouterr()
    assert main(["list", "solvers"]) == 0 and "euler_maruyama" in capsys.readouterr().out
