"""Wheel, editable install and bare clone: all import, and no generic name leaks into site-packages."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROBE = (
    "import guidance_bench as gb, importlib.util as u; "
    "assert gb.METHODS.create('ig').scale == 1.7; assert 'digits' in gb.BENCHMARKS.names(); "
    "assert len(gb.load_results()) > 0; "
    "print([n for n in ('methods', 'backbones', 'benchmarks') if u.find_spec(n)])"
)


def python(*arguments: str, cwd: Path, path: str = "") -> str:
    import os

    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | ({"PYTHONPATH": path} if path else {})
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_bare_clone_imports(tmp_path):
    assert python("-c", PROBE, cwd=tmp_path, path=str(ROOT)).startswith("[")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    clone, folder = tmp_path_factory.mktemp("clone") / "source", tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for name in listed.stdout.split("\n"):
        if name and not name.startswith("tests/") and (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            (clone / name).write_bytes((ROOT / name).read_bytes())
    python("-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), str(clone), cwd=clone)
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_everything_under_one_name(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    assert {t for t in top if not t.endswith(".dist-info")} == {"guidance_bench"}
    for needed in (
        "methods/ig.py",
        "backbones/sit.py",
        "benchmarks/digits/__init__.py",
        "leaderboard/page/page.html",
        "py.typed",
    ):
        assert f"guidance_bench/{needed}" in names
    ours = {
        str(p.relative_to(ROOT))
        for d in ("guidance_bench", "methods", "backbones", "benchmarks")
        for p in (ROOT / d).rglob("*")
        if p.suffix in (".py", ".json", ".html", ".safetensors")
        and "__pycache__" not in p.parts
        and p
        != ROOT / "benchmarks" / "leaderboard.html"  # the page of the committed records, for readers of the project
    }
    packed = {
        n.removeprefix("guidance_bench/") if n.split("/")[1] in ("methods", "backbones", "benchmarks") else n
        for n in names
        if "dist-info" not in n
    }
    assert ours <= packed


@pytest.mark.slow
def test_the_installed_wheel_works_away_from_the_clone(wheel, tmp_path):
    python("-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path / "site"), str(wheel), cwd=tmp_path)
    stranger = tmp_path / "site" / "methods"  # somebody else's package of that name must not be taken for ours
    stranger.mkdir()
    (stranger / "__init__.py").write_text("raise SystemExit('not ours')")
    probe = PROBE.partition("; print")[0] + "; print(gb.__file__)"
    assert Path(python("-c", probe, cwd=tmp_path, path=str(tmp_path / "site"))).is_relative_to(tmp_path / "site")
