"""The three doors for a method of one's own: a file on the command line, an installed package, the decorator."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import guidance_bench as gb
from guidance_bench.storage.files import sha256_of

HERE = Path(__file__).parents[1]
ROOT = HERE.parent
TINY = ["benchmark.train_steps=3", "benchmark.weak_steps=2", "benchmark.samples=20", "benchmark.block=20"]


def run(*arguments: str, path: Path | None = None, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *([str(path)] if path else [])])}
    command = [sys.executable, "-m", "guidance_bench.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd, timeout=300)


def test_the_files_method_runs_by_one_command_and_its_hash_is_in_the_record(tmp_path):
    plugin = HERE / "plugins" / "late_cfg.py"
    done = run("run", "benchmark=digits", f"method={plugin}", "method.scale=1.6", *TINY, f"output={tmp_path}")
    assert done.returncode == 0, done.stderr
    frame = gb.load_results(tmp_path)
    assert list(frame["method"]) == ["late_cfg"] and list(frame["method.scale"]) == [1.6]
    # 16 steps from t = 1 with guidance for t <= 0.6: steps at 9/16 and below are guided.
    assert frame["cost.main"].iloc[0] == 16 + 9
    (path,) = tmp_path.glob("*/record.json")
    assert gb.METHODS.load_file(plugin) == ["late_cfg"]
    assert f'"plugin_sha256": "{gb.METHODS.entry("late_cfg").sha256}"' in path.read_text()


def test_the_plugins_update_is_the_formula():
    gb.METHODS.load_file(HERE / "plugins" / "late_cfg.py")
    toy = gb.BACKBONES.create("toy").build()
    noise, labels = torch.ones(2, 2, 1, 1, dtype=torch.float64), torch.tensor([0, 1])
    late = gb.METHODS.create("late_cfg", scale=1.6, until=0.6)
    interval = gb.METHODS.create("cfg", scale=1.6, high=0.6)
    ours, known = (gb.sample(toy, m, "euler", labels=labels, noise=noise) for m in (late, interval))
    assert torch.equal(ours, known)


def test_a_benchmark_of_ones_own_is_named_by_its_code_too():
    tiny = HERE / "helpers" / "tiny_benchmark.py"
    gb.BENCHMARKS.load_file(tiny)
    assert gb.BENCHMARKS.create("tiny").protocol()["plugin_sha256"] == sha256_of(tiny)
    assert "plugin_sha256" not in gb.BENCHMARKS.create("digits").protocol()


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The plug-in package of this folder, installed by pip into a folder of its own."""
    source = tmp_path_factory.mktemp("source") / "plugin"
    shutil.copytree(HERE / "plugin_package", source)
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(source)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return target


@pytest.mark.slow
def test_an_installed_package_offers_its_method_and_a_broken_one_is_listed_as_broken(site):
    listed = run("list", "methods", path=site)
    assert listed.returncode == 0, listed.stderr
    assert "half_guidance" in listed.stdout and "CFG for t > 0.5" in listed.stdout
    assert "half-guidance" in listed.stdout  # the package that it comes from
    assert "broken_guidance  BROKEN: ModuleNotFoundError" in listed.stdout


@pytest.mark.slow
def test_an_installed_packages_method_runs(site, tmp_path):
    done = run("run", "benchmark=digits", "method=half_guidance", *TINY, f"output={tmp_path}", path=site)
    assert done.returncode == 0, done.stderr
    assert list(gb.load_results(tmp_path)["method"]) == ["half_guidance"]
    broken = run("run", "benchmark=digits", "method=broken_guidance", f"output={tmp_path}", path=site)
    assert broken.returncode == 2 and "is broken: ModuleNotFoundError" in broken.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [("def broken(:", "SyntaxError"), ("x = 1", "registers no method")],
)
def test_a_plugin_file_that_does_not_do_is_one_line_and_exit_2(tmp_path, text, message):
    (tmp_path / "mine.py").write_text(text)
    done = run("run", "benchmark=digits", f"method={tmp_path / 'mine.py'}", f"output={tmp_path / 'out'}")
    assert done.returncode == 2 and message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
