"""A benchmark plug-in needs nothing but what guidance_bench exports."""

from __future__ import annotations

import ast
from pathlib import Path

import guidance_bench as gb
from guidance_bench.cli.main import main

PLUGIN = Path(__file__).parents[1] / "plugins" / "two_points.py"


def test_the_plug_in_imports_the_public_surface_alone():
    imported = [
        node for node in ast.walk(ast.parse(PLUGIN.read_text())) if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    names = {alias.name for node in imported if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in imported if isinstance(node, ast.ImportFrom)}
    assert names == {"numpy", "torch", "guidance_bench"}


def test_it_runs_from_the_command_line_and_from_python(tmp_path):
    assert main(["run", f"benchmark={PLUGIN}", f"output={tmp_path}", "device=cpu"]) == 0
    frame = gb.load_results(tmp_path)
    assert sorted(frame["method"]) == ["cfg", "none"] and frame["frechet_distance_plane"].notna().all()
    again = gb.run("two_points", output=tmp_path)
    assert set(again["run_id"]) == set(frame["run_id"]) and set(again["time"]) == set(frame["time"])
    assert (tmp_path / "leaderboards" / "two_points" / "leaderboard.html").exists()
