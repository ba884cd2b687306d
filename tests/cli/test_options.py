"""Numbers and paths of any length on the command line: one sentence, in every verb."""

from __future__ import annotations

import shutil

import pytest
from wrong_commands import options_of

from guidance_bench.cli.main import VERBS, main
from guidance_bench.cli.options import whole_number
from guidance_bench.core.errors import UserError
from guidance_bench.experiments.records import committed_results


@pytest.mark.parametrize("text", ["²", "½", "٣", "", "-1", "1.0", "1e3", "9" * 100, "9" * 5000, " 1", "1_0"])
def test_what_is_no_whole_number(text):
    with pytest.raises(UserError, match=r"^n='.*' is not a whole number of at least 0$") as caught:
        whole_number("n", text, 0)
    assert len(str(caught.value)) < 120


def test_whole_numbers():
    assert whole_number("n", "007", 1) == 7 and whole_number("n", "1000", 1, 1000) == 1000
    with pytest.raises(UserError, match=r"n='1001' is not a whole number in 1\.\.1000"):
        whole_number("n", "1001", 1, 1000)


@pytest.fixture(autouse=True)
def no_job(monkeypatch):
    """Whatever gets so far as to be run was not refused."""

    def run_all(*arguments):
        raise AssertionError("the job was started")

    monkeypatch.setattr("guidance_bench.experiments.runner.Runner.run_all", run_all)


def told(arguments, capsys) -> str:
    assert main(arguments) == 2, arguments
    err = capsys.readouterr().err
    assert err.startswith("guidance-bench: ") and err.count("\n") == 1 and "Traceback" not in err, err
    return err


LONG = "x" * 300
PATHS = [
    ["evaluate", LONG, "reference=y"],
    ["evaluate", "y", f"reference={LONG}"],
    ["evaluate", ".", "reference=.", f"weights={LONG}"],
    ["evaluate", ".", "reference=.", f"metrics={LONG}.py"],
    ["export", LONG, "to=x.npz"],
    ["export", "x", f"to={LONG}.npz"],
    ["export", "x", "to=y.npz", f"output={LONG}"],
    ["leaderboard", LONG],
    ["leaderboard", ".", f"output={LONG}"],
    ["submit", LONG],
    ["check-method", f"{LONG}.py"],
    ["run", "benchmark=digits", f"output={LONG}"],
    ["run", "benchmark=digits", f"method={LONG}.py"],
    ["run", f"benchmark={LONG}.py"],
]


@pytest.mark.parametrize("arguments", PATHS, ids=lambda a: " ".join(a).replace(LONG, "LONG"))
def test_paths_longer_than_a_name_may_be(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told(arguments, capsys)
    assert not list(tmp_path.iterdir())


NUMBERS = [
    ["evaluate", ".", "reference=.", "jackknife=²"],
    ["evaluate", ".", "reference=.", f"jackknife={'9' * 5000}"],
    ["evaluate", ".", "reference=.", f"batch_size={'9' * 400}"],
    ["evaluate", ".", "reference=.", "metrics=kid", f"kid.subset_size={'9' * 5000}"],
    ["export", "x", "to=y.png", f"columns={'9' * 5000}"],
    *(
        ["run", "benchmark=digits", "method=cfg", f"{option}={number}"]
        for option in ("seed", "batch", "method.scale", "benchmark.samples")
        for number in ("9" * 100, "9" * 5000, f"1e{'9' * 100}", "²", "-" + "9" * 400)
    ),
    ["run", "benchmark=digits", f"seeds=0,{'9' * 100}"],
    ["run", "benchmark=digits", "method=cfg", f"method.scale=[1.5, {'9' * 400}]"],
    ["run", "benchmark=digits", "method=cfg", "-m", f"method.scale=1.5,{'9' * 400}"],
    ["run", "benchmark=digits", "benchmark.seeds=[]"],
    ["run", "benchmark=digits", f"benchmark.seeds=[{'9' * 400}]"],
    ["run", "benchmark=digits", "benchmark.seeds=[-1]"],
]


@pytest.mark.parametrize("arguments", NUMBERS, ids=lambda a: " ".join(f"{w[:25]}~{len(w)}" for w in a[2:]))
def test_numbers_of_any_length(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(told(arguments, capsys)) < 400
    assert not list(tmp_path.iterdir())


def test_names_may_be_long_numbers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError, match="the job was started"):
        main(["run", "benchmark=digits", "method=cfg", f"output={'1' * 30}", f"seed={2**64 - 1}"])


REFUSED = [
    ["method.scale=-5"],
    ["method.scale=-5", "hydra.output_subdir=sub"],
    ["method.scale=-5", "hydra/job_logging=default"],
    ["method.scale=-5", "hydra.run.dir=here"],
    ["-m", "method.scale=1.5,-5"],
    ["-m", "method.scale=1.5,-5", "hydra.sweep.dir=there"],
    ["seed=-1"],
    ["batch=0", "hydra.output_subdir=sub"],
    ["device=nope"],
    ["precision=fp8"],
    ["records=nowhere"],
    ["seed=1", "seeds=0,1"],
    ["benchmark.methods=[icg]"],
    ["output=/dev/null/x"],
    ["method=ig", "method.tap=99", "hydra.output_subdir=sub"],  # by the dry run alone
    ["-m", "method=ig", "method.tap=3,99", "hydra.output_subdir=sub"],
    ["method=slg", "method.layers=[77]", "hydra/job_logging=default"],
]


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_what_is_refused_leaves_nothing_behind(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    named = any(word.startswith(("method=", "benchmark.methods=")) for word in words)
    status = main(["run", "benchmark=digits", *([] if named else ["method=cfg"]), *words])
    assert status == 2 and capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


# -- every verb, those of tomorrow too: what its help names, given nonsense


def nonsense():
    for verb in VERBS:
        yield [verb, LONG]
        yield [verb, f"{LONG}/x.json"]
        for option in options_of(verb):
            for value in (LONG, "9" * 5000, "²", f"a/{LONG}/b.py"):
                yield [verb, "x", f"{option}={value}"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", list(nonsense()), ids=lambda a: " ".join(f"{word[:16]}~{len(word)}" for word in a)
)
def test_nonsense_in_every_verb_is_no_traceback(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status = main(arguments)
    err = capsys.readouterr().err
    assert status in (0, 1, 2) and "Traceback" not in err
    if status == 2:
        assert err.startswith("guidance-bench: ") and err.count("\n") == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_dir()], "it has made a folder"


def test_verify_takes_the_folder_of_a_run_for_its_record(tmp_path, capsys):
    record = sorted((committed_results() / "digits_full" / "records").glob("*.json"))[0]
    (tmp_path / "a_run").mkdir()
    shutil.copy(record, tmp_path / "a_run" / "record.json")
    assert main(["verify", str(tmp_path / "a_run"), str(record), "samples=none"]) == 0
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith("ok       a_run  ") and second.startswith(f"ok       {record.name}  ")
    assert last == "nothing differs"
