"""The gain over CFG of equal strength, by hand; and the verb that measures strength, on a benchmark of seconds."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from synthetic_records import BASE, record_of

from guidance_bench.cli.main import main
from guidance_bench.core.errors import UserError
from guidance_bench.experiments.records import to_frame
from guidance_bench.leaderboard.comparison.equal_cfg import with_equal_cfg
from guidance_bench.leaderboard.comparison.strengths import Trajectory, mean_trajectory, read_strengths
from guidance_bench.leaderboard.protocol_tables import tables
from guidance_bench.leaderboard.publish import write_leaderboard
from guidance_bench.leaderboard.sheets import best_sheet

TINY = Path(__file__).parents[1] / "helpers" / "tiny_benchmark.py"


def runs(method, scale, values):
    parameters = {} if scale is None else {"scale": scale}
    return [record_of(method, parameters, s, {**BASE, "frechet_distance": v}) for s, v in enumerate(values)]


NONE = runs("none", None, (4.0, 5.0, 6.0))
CFG = runs("cfg", 1.2, (3.0, 4.0, 5.0)) + runs("cfg", 1.4, (3.5, 4.5, 5.5))
IG = runs("ig", 1.7, (2.5, 3.52, 4.48))
PAG = runs("pag", 2.0, (3.3, 4.2, 5.35))
ALL = [*NONE, *CFG, *IG, *PAG]


def at(*pairs):
    """Constant strengths, a tenth as large an update, for all runs of each list."""
    return {r["run_id"]: Trajectory((1.0, 0.5), (w, w), (w / 10, w / 10), w) for records, w in pairs for r in records}


def board(strengths):
    (table,) = tables(to_frame(ALL)).values()
    return with_equal_cfg(table, strengths).best.set_index("method")


def test_the_gain_is_over_cfgs_curve_at_the_methods_strength():
    """At w_e = 1.1 CFG's line is half way from none to 1.2: 3.5, 4.5, 5.5; ig is 1 better on each: 22.2 % of 4.5."""
    best = board(at((IG, 1.1), (PAG, 1.3)))
    assert best["over_cfg"]["ig"] == pytest.approx(100 / 4.5) and not best["over_cfg_tie"]["ig"]
    assert best["strength"]["ig"] == pytest.approx(1.1)
    assert best["over_cfg_tie"]["pag"]  # 3.25, 4.25, 5.25 against 3.3, 4.2, 5.35: nothing is told
    assert math.isnan(best["over_cfg"]["cfg"]) and math.isnan(best["over_cfg"]["none"])


def test_a_chord_from_none_to_one_scale_is_no_curve():
    """CFG is best between its scales: a chord from the first to the last would flatter what lies between."""
    (table,) = tables(to_frame([*NONE, *CFG[:3], *IG])).values()
    measured = with_equal_cfg(table, at((IG, 1.1)))
    best = measured.best.set_index("method")
    assert math.isnan(best["over_cfg"]["ig"]) and best["strength"]["ig"] == pytest.approx(1.1)
    assert "needs two scales of cfg" in measured.note
    headings = [field.title for field in best_sheet(measured.best, measured.metrics)]
    assert "w_e" in headings and "Over CFG" not in headings  # a column that has nothing is left out


def test_beyond_cfgs_curve_nothing_is_claimed():
    best = board(at((IG, 1.6)))
    assert math.isnan(best["over_cfg"]["ig"]) and best["strength"]["ig"] == pytest.approx(1.6)
    assert "over_cfg" not in board({})


def test_the_table_has_the_column_with_its_tie_mark(tmp_path):
    strengths = at((IG, 1.1), (PAG, 1.3))
    text = write_leaderboard(ALL, tmp_path, strengths=strengths)["leaderboard.md"].read_text(encoding="utf-8")
    assert "| w\\_e | Over CFG |" in text and "| 1.10 | +22.2 % |" in text and " % = |" in text
    assert "Over CFG: the gain of the setting shown over CFG at the scale" in text


def test_several_runs_are_averaged_over_time():
    """Two evaluations at t = 0.5 (Heun) count as their mean; runs at other times are read off at those of the first."""
    one = Trajectory((1.0, 0.5, 0.5), (1.0, 2.0, 4.0), (0.1, 0.2, 0.4), 2.0)
    other = Trajectory((1.0, 0.0), (1.0, 5.0), (0.3, 0.5), 4.0)
    found = mean_trajectory([one, other])
    assert found.times == (1.0, 0.5) and found.mean == 3.0
    assert found.w_e == pytest.approx((1.0, 3.0)) and found.update == pytest.approx((0.2, 0.35))


def test_the_verb_measures_each_run_once(tmp_path, capsys):
    run = ["run", f"benchmark={TINY}", f"output={tmp_path}", "device=cpu", "benchmark.samples=20"]
    assert main(run) == 0
    capsys.readouterr()
    words = ["strength", str(tmp_path), f"output={tmp_path}", "samples=8", "device=cpu"]
    assert main(words) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if " w_e " in line]
    assert sorted(line.split()[1] + line.split()[3] for line in lines) == ["cfg1.500", "none1.000"]
    found = read_strengths(tmp_path)
    assert sorted(one.mean for one in found.values()) == pytest.approx([1.0, 1.5], abs=1e-4)
    assert {path.suffix for path in (tmp_path / "strength").glob("trajectory.*")} == {".png", ".svg", ".pdf"}
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "strength").glob("*.json")}
    assert main(words) == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "strength").glob("*.json")} == before
    next(iter(before)).write_text("{}")
    with pytest.raises(UserError, match="holds no strength"):
        read_strengths(tmp_path)
