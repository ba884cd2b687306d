"""The house has rooms: layers of packages, no cycles, short files and functions, few files in a folder."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest
from architecture import PAGE, rendered

ROOT = Path(__file__).parents[2]
CONTENT = ("methods", "backbones", "benchmarks")
SOURCES = [p for top in ("guidance_bench", *CONTENT) for p in sorted((ROOT / top).rglob("*.py"))]


def test_the_layers_hold():
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_no_import_closes_a_circle_not_even_a_lazy_one():
    graph = grimp.build_graph("guidance_bench", cache_dir=None)
    edges = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    edges["guidance_bench"] = set()  # the public surface; what looks back at it asks for the version alone
    list(TopologicalSorter(edges).static_order())  # raises CycleError, which names the circle


def test_no_folder_of_the_engine_holds_more_than_twelve_files():
    files = Counter(
        p.parent for p in SOURCES if p.name != "__init__.py" and p.relative_to(ROOT).parts[0] not in CONTENT
    )
    assert not {str(folder): count for folder, count in files.items() if count > 12}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_are_short(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 300
    functions = (n for n in ast.walk(ast.parse(text)) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)))
    assert not [f.name for f in functions if (f.end_lineno or 0) - f.lineno > 60]


def test_every_package_says_what_it_holds():
    for package in (ROOT / "guidance_bench").rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(package.read_text(encoding="utf-8"))), package


def test_the_picture_of_the_architecture_is_that_of_the_code():
    text = PAGE.read_text(encoding="utf-8")
    assert rendered(text) == text, "run: python tests/helpers/architecture.py"
