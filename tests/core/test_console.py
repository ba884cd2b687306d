"""Bars on a terminal, whole lines in a pipe, and the line of each run at any width."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from guidance_bench.core import console
from guidance_bench.experiments.job_report import Report

ROOT = Path(__file__).parents[2]
WORK = """
import time
from guidance_bench.core.console import bar, say
with bar(3, 'all runs', 'run', timed=False) as whole:
    for run in range(3):
        with bar(4, 'sampling cfg scale=1.2, seed 0', 'image') as progress:
            for _ in range(4):
                time.sleep(0.06)
                progress.update()
        whole.note('2 min left')
        whole.update()
        say(f'run {run} is done')
"""


def on_a_terminal(columns: int, **environment: str) -> str:
    """What a terminal of so many columns gets."""
    leader, follower = pty.openpty()
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": str(columns), "TERM": "xterm", **environment}
    process = subprocess.Popen([sys.executable, "-c", WORK], stdout=follower, stderr=follower, env=variables)
    os.close(follower)
    parts = []
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:
            break
        if not part:
            break
        parts.append(part)
    assert process.wait(60) == 0
    os.close(leader)
    return b"".join(parts).decode()


@pytest.mark.parametrize("columns", [50, 80, 160])
def test_bars_fit_the_terminal(columns):
    shown = on_a_terminal(columns)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", plain)]
    assert max(map(len, lines)) <= columns
    assert all(f"run {n} is done" in lines for n in range(3))
    assert any("all runs" in line and "1/3 runs" in line and "2 min left" in line for line in lines)
    assert any(re.search(r"sampling cfg.* \d/4 images", line) for line in lines)
    assert ("━" in plain) == (columns >= 60)


OLD_RICH = """
import io
from rich import file_proxy
file_proxy.FileProxy.isatty = io.TextIOBase.isatty  # as before rich 15
"""


def test_bars_within_bars_are_drawn_with_an_older_rich(monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "WORK", OLD_RICH + WORK)
    assert re.search(r"sampling cfg.* 0/4 images", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", on_a_terminal(80)))


def test_colours_only_where_they_are_wanted():
    colour = re.compile(r"\x1b\[[0-9;]*[39][0-9][0-9;]*m")
    assert colour.search(on_a_terminal(80)) and not colour.search(on_a_terminal(80, NO_COLOR="1"))


def test_a_pipe_gets_whole_lines_and_no_codes(monkeypatch, capsys):
    clock = iter(range(0, 100_000, 6))
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with console.bar(2000, "train main", "step", done=500) as progress:
        for _ in range(30):
            progress.set_postfix(loss="0.5")
            progress.update(10)
    lines = capsys.readouterr().err.splitlines()
    assert 4 <= len(lines) <= 9 and all(
        re.fullmatch(r"train main: \d+/2,000 steps, loss 0.5, .+ left", x) for x in lines
    )
    assert "520/2,000" in lines[0]  # after the first pause of ten seconds


def test_the_time_left_is_that_of_the_rest(monkeypatch):
    times = iter([0.0, 10.0])
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=lambda: next(times)))
    progress = console.bar(100, "x", "image", done=20)
    progress.done = 40
    assert progress._left() == "30 s left"


@pytest.mark.parametrize(
    ("seconds", "said"), [(5, "5 s"), (89, "89 s"), (90, "2 min"), (3600, "60 min"), (7800, "2 h 10 min")]
)
def test_times_as_people_say_them(seconds, said):
    assert console.duration(seconds) == said


@pytest.mark.parametrize("columns", [50, 80, 160])
def test_the_lines_of_runs_fit_and_found_ones_say_so(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    benchmark = SimpleNamespace(column=lambda name: name, primary="frechet_distance")
    workspace = SimpleNamespace(has=lambda run: run == "b")
    ticks = iter([0.0, 20.0, 20.5, 21.0])
    monkeypatch.setattr("guidance_bench.experiments.job_report.time", SimpleNamespace(monotonic=lambda: next(ticks)))
    report = Report(benchmark, [SimpleNamespace(run_id=run) for run in "abc"], workspace)
    record = {"metrics": {"frechet_distance": {"mean": 1.25}}}
    with report:
        for _ in "ab":
            report.done("ig_cfg ig_scale=1.5 cfg_scale=1.1 cfg_high=0.7, seed 0", record)
    made, found = capsys.readouterr().out.splitlines()
    assert max(len(made), len(found)) <= columns
    assert made.startswith("[1/3] ig") and made.endswith("FD    1.250   20.0 s  20 s left")
    assert found.endswith("FD    1.250    found  20 s left")  # the one that is left takes as long as the one made


def test_networks_that_the_first_run_trained_are_not_counted_for_each_of_the_others(monkeypatch, capsys):
    benchmark = SimpleNamespace(primary="frechet_distance", column=lambda name: name)
    ticks = iter([0.0, 5000.0, 5100.0])
    monkeypatch.setattr("guidance_bench.experiments.job_report.time", SimpleNamespace(monotonic=lambda: next(ticks)))
    specs = [SimpleNamespace(run_id=run) for run in "abc"]
    report = Report(benchmark, specs, SimpleNamespace(has=lambda run: False))
    with report:
        for _ in "ab":
            report.done("ig", {"metrics": {"frechet_distance": {"mean": 1.25}}})
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("5000.0 s  2 h 47 min left") and second.endswith(" 100.0 s  2 min left")
    assert first.index("FD") == second.index("FD")


def test_nothing_is_said_by_other_processes(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(console, "FIRST_PAUSE", 0.0)
    console.say("x")
    with console.bar(3, "x", "image") as progress:
        progress.update()
    assert capsys.readouterr() == ("", "")


def test_a_dumb_terminal_is_a_log(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    assert console.on_terminal()
    monkeypatch.setenv("TERM", "dumb")
    assert not console.on_terminal()
