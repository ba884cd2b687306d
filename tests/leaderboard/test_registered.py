"""Boards without torch: what is registered is read from a kept file, which is made anew whenever it may be wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from synthetic_records import record_of
from synthetic_store import fill

import guidance_bench as gb
from guidance_bench.experiments.records import read_records, write_record
from guidance_bench.leaderboard.figures import grid_classes
from guidance_bench.leaderboard.figures.grid_classes import Classes, classes_of
from guidance_bench.leaderboard.publish import publish
from guidance_bench.leaderboard.registered import look_up, state
from guidance_bench.leaderboard.registered.asking import asked
from guidance_bench.leaderboard.registered.look_up import registered
from guidance_bench.leaderboard.registered.state import kept_file
from guidance_bench.leaderboard.setting_texts import setting_texts

HERE = Path(__file__).parents[1]
ROOT = HERE.parent
#: Prints whether torch was loaded and what is known of the plug-in.
ASK = (
    "import sys, json; from guidance_bench.leaderboard.registered.look_up import registered; known = registered();"
    "print(json.dumps(['torch' in sys.modules, known.defaults.get('half'), known.code['method'].get('half')]))"
)
VERBS = (
    "import sys; from guidance_bench.cli.main import main; words = sys.argv[1:];"
    "assert main(['leaderboard', words[0], f'output={words[1]}']) == 0;"
    "assert main(['compare', 'none', 'ig', f'records={words[0]}']) == 0; print('torch' in sys.modules)"
)
PLUGIN = {
    "half/__init__.py": "",
    "half/numbers.py": "SCALE = 1.5\n",
    "half/methods.py": (
        "from guidance_bench import Guidance, register_method\nfrom . import numbers\n\n\n"
        '@register_method("half")\nclass Half(Guidance):\n    scale: float = numbers.SCALE\n\n'
        "    def guide(self, step, query):\n        return self.scale * (yield query)\n"
    ),
    "half-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: half\nVersion: 1.0\n",
    "half-1.0.dist-info/entry_points.txt": "[guidance_bench.methods]\nhalf = half.methods:Half\n",
}


def python(program: str, cache: Path, *arguments: str, site: Path | None = None) -> str:
    path = os.pathsep.join([str(ROOT), *([str(site)] if site else [])])
    environment = {**os.environ, "PYTHONPATH": path, "GUIDANCE_BENCH_CACHE": str(cache), "MPLBACKEND": "agg"}
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cache.parent, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def forget() -> None:
    """As a new process."""
    look_up._kept.cache_clear()
    look_up.clean_state.cache_clear()


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_second_board_needs_no_torch_and_is_the_same(tmp_path):
    output = tmp_path / "output"
    for record in (record_of("none"), record_of("ig")):
        write_record(output / record["run_id"] / "record.json", record)
        fill(output / record["run_id"], 1000, 256, (8, 8, 1), record["run_id"])
    cold, kept, live = (tmp_path / name for name in ("cold", "kept", "live"))
    assert python(VERBS, tmp_path / "cache", str(output), str(cold)) == "True"
    assert python(VERBS, tmp_path / "cache", str(output), str(kept)) == "False"
    publish(read_records(output), live, stores=output)  # by the registries of this process
    boards = [contents(folder) for folder in (cold, kept, live)]
    assert boards[0] == boards[1] == boards[2]
    assert {"leaderboard.html", "figures/cost.png", "figures/samples_ig.png", ".made.json"} <= boards[0].keys()


def test_a_plugin_that_has_changed_is_asked_again(tmp_path):
    site, cache = tmp_path / "site", tmp_path / "cache"
    for name, text in PLUGIN.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)
    loaded, defaults, code = json.loads(python(ASK, cache, site=site))
    assert loaded and defaults == {"scale": 1.5} and code[1]["package"] == "half 1.0"
    assert json.loads(python(ASK, cache, site=site)) == [False, defaults, code]
    (site / "half" / "numbers.py").write_text("SCALE = 2.5\n")  # which the registered file imports
    loaded, defaults, other = json.loads(python(ASK, cache, site=site))
    assert loaded and defaults == {"scale": 2.5} and other[1]["plugin_sha256"] != code[1]["plugin_sha256"]
    assert json.loads(python(ASK, cache)) == [True, None, None]  # not installed here


@pytest.fixture
def look(tmp_path, monkeypatch):
    """Look up as a process that has imported no registry; whether the kept file was made anew."""
    for registry in (gb.METHODS, gb.METRICS, gb.BENCHMARKS):  # other tests leave theirs there
        ours = {name: registry.entry(name) for name in registry.names() if registry.entry(name).source == "built in"}
        monkeypatch.setattr(registry, "_entries", ours)
    monkeypatch.setenv("GUIDANCE_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(look_up, "REGISTRIES", ())

    def once() -> bool:
        forget()
        before = kept_file("registered").stat().st_ino if kept_file("registered").exists() else None
        assert registered().whole() == asked().whole()
        return kept_file("registered").stat().st_ino != before

    yield once
    forget()


def test_what_is_kept_is_all_that_the_registries_say_in_their_order(look):
    assert look() and not look()
    assert look_up._text(registered()) == look_up._text(asked().whole())
    assert list(registered().defaults["ig_cfg"])[:3] == ["ig_scale", "ig_low", "ig_high"]
    assert registered().declarations["imagenet256"].rows and registered().declarations["digits"] is None


DAMAGES = {
    "cut": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "other": lambda text: text.replace("digits_cnn", "digits_CNN"),
    "old": lambda text: json.dumps({**json.loads(text), "seal": None, "registered": '{"defaults": {}}'}),
    "strange": lambda text: json.dumps({**json.loads(text), "seal": None, "folders": 3}),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_a_damaged_file_is_made_anew(look, damage):
    assert look()
    kept_file("registered").write_text(damage(kept_file("registered").read_text()))
    assert look() and not look()


def test_a_source_or_a_package_that_has_changed_makes_it_anew(look, tmp_path, monkeypatch):
    methods = Path(gb.METHODS.entry("ig").file).parent
    copy = shutil.copytree(methods, tmp_path / "methods")
    folder = state._folder
    monkeypatch.setattr(state, "_folder", lambda name: copy if name == state.METHODS else folder(name))
    assert look() and not look()
    (copy / "ig.py").write_text((copy / "ig.py").read_text() + "\n")
    assert look() and not look()
    monkeypatch.setattr(state, "version_of", lambda package: "0")
    assert look() and not look()


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(look, tmp_path):
    (tmp_path / "cache").write_text("no folder")
    assert registered().whole() == asked().whole()


def test_a_broken_plugin_is_looked_for_each_time(look, monkeypatch):
    monkeypatch.setattr(gb.METHODS, "_broken", {"lame": "ModuleNotFoundError"})
    assert registered().whole() == asked().whole() and not kept_file("registered").exists()


def test_a_method_of_this_process_is_seen_whatever_is_kept(look, monkeypatch):
    assert look() and not look()
    assert "late_cfg" not in registered().defaults
    setting = [{"scale": 1.8, "until": 0.6}]
    assert setting_texts("late_cfg", setting) == ["scale=1.8, until=0.6"]  # defaults that nobody knows are said
    monkeypatch.setattr(look_up, "REGISTRIES", ("guidance_bench.guidance.method",))
    gb.METHODS.load_file(HERE / "plugins" / "late_cfg.py")
    assert registered().code["method"]["late_cfg"][0] == "file"
    assert setting_texts("late_cfg", setting) == ["scale=1.8"]


def test_classes_are_kept_where_all_of_them_is_told(look, monkeypatch):
    def told(*words) -> tuple[Classes, bool]:
        forget()
        asked_for.clear()
        return classes_of(*words), not asked_for

    asked_for: list[object] = []
    ask = grid_classes._asked
    monkeypatch.setattr(grid_classes, "_asked", lambda *words: asked_for.append(words) or ask(*words))
    digits, imagenet = ("digits", "balanced", 800, 200, 0), ("imagenet256", "balanced", 2000, 250, 0)
    (first, before), (again, kept) = told(*digits), told(*digits)
    assert not before and kept and again.heads == first.heads == tuple((str(d), 1) for d in range(10))
    assert again.real.dtype == np.uint8 and (again.real == first.real).all() and first.real.shape == (10, 8, 8, 1)
    assert told("digits", "balanced", 800, 200, 1)[1] is False  # another question
    assert [told(*imagenet) for _ in range(2)] == [(Classes(), False), (Classes(), True)]
    file = kept_file("classes", *digits)
    file.write_text(file.read_text().replace("1", "2"))
    assert told(*digits)[1] is False and told(*digits)[1] is True
    monkeypatch.setattr(gb.BENCHMARKS.entry("digits").cls, "training_data", absent)
    file.unlink()
    assert [told(*digits)[1] for _ in range(2)] == [False, False]  # its data may come
    monkeypatch.setattr(look_up, "REGISTRIES", ("guidance_bench.metrics.base",))
    assert told(*imagenet)[1] is False  # this process may have changed what it has imported
    assert told("no such", "balanced", 800, 200, 0) == (Classes(), True)


def absent(benchmark) -> None:
    raise gb.UserError("not here")


def test_our_sources_are_hashed_in_no_time():
    import time

    begin = time.process_time()
    assert {"ig.py", "toy.py", "page.html", "dry_run.py"} <= {place.split("/")[-1] for place in state.own_sources()}
    assert time.process_time() - begin < 0.5  # measured: 0.025 s
