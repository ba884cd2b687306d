"""The gain over CFG of equal strength, by hand; and the verb that measures strength, on a benchmark of seconds."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from synthetic_records import BASE, record_of

from guidance_bench.cli.main import main
from guidance_bench.core.errors import UserError
from guidance_bench.experiments.records import to_frame
from guidance_bench.leaderboard.comparison.equal_cfg import read_strengths, with_equal_cfg
from guidance_bench.leaderboard.protocol_tables import tables
from guidance_bench.leaderboard.publish import write_leaderboard

TINY = Path(__file__).parents[1] / "helpers" / "tiny_benchmark.py"


def runs(method, scale, values):
    parameters = {} if scale is None else {"scale": scale}
    return [record_of(method, parameters, s, {**BASE, "frechet_distance": v}) for s, v in enumerate(values)]


NONE = runs("none", None, (4.0, 5.0, 6.0))
CFG = runs("cfg", 1.2, (3.0, 4.0, 5.0)) + runs("cfg", 1.4, (3.5, 4.5, 5.5))
IG = runs("ig", 1.7, (2.5, 3.52, 4.48))
PAG = runs("pag", 2.0, (3.3, 4.2, 5.35))
ALL = [*NONE, *CFG, *IG, *PAG]


def board(strengths):
    (table,) = tables(to_frame(ALL)).values()
    return with_equal_cfg(table, strengths).best.set_index("method")


def test_the_gain_is_over_cfgs_curve_at_the_methods_strength():
    """At w_e = 1.1 CFG's line is half way from none to 1.2: 3.5, 4.5, 5.5; ig is 1 better on each: 22.2 % of 4.5."""
    best = board({record["run_id"]: 1.1 for record in IG} | {record["run_id"]: 1.3 for record in PAG})
    assert best["over_cfg"]["ig"] == pytest.approx(100 / 4.5) and not best["over_cfg_tie"]["ig"]
    assert best["strength"]["ig"] == pytest.approx(1.1)
    assert best["over_cfg_tie"]["pag"]  # 3.25, 4.25, 5.25 against 3.3, 4.2, 5.35: nothing is told
    assert math.isnan(best["over_cfg"]["cfg"]) and math.isnan(best["over_cfg"]["none"])


def test_beyond_cfgs_curve_nothing_is_claimed():
    best = board({record["run_id"]: 1.6 for record in IG})
    assert math.isnan(best["over_cfg"]["ig"]) and best["strength"]["ig"] == pytest.approx(1.6)
    assert "over_cfg" not in board({})


def test_the_table_has_the_column_with_its_tie_mark(tmp_path):
    strengths = {record["run_id"]: 1.1 for record in IG} | {record["run_id"]: 1.3 for record in PAG}
    text = write_leaderboard(ALL, tmp_path, strengths=strengths)["leaderboard.md"].read_text(encoding="utf-8")
    assert "| w\\_e | Over CFG |" in text and "| 1.10 | +22.2 % |" in text and " % = |" in text
    assert "Over CFG: the gain over CFG at the scale" in text


def test_the_verb_measures_each_run_once(tmp_path, capsys):
    run = ["run", f"benchmark={TINY}", f"output={tmp_path}", "device=cpu", "benchmark.samples=20"]
    assert main(run) == 0
    capsys.readouterr()
    words = ["strength", str(tmp_path), f"output={tmp_path}", "samples=8", "device=cpu"]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split()[1] + line.split()[3] for line in lines) == ["cfg1.500", "none1.000"]
    found = read_strengths(tmp_path)
    assert sorted(found.values()) == pytest.approx([1.0, 1.5], abs=1e-4)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "strength").iterdir()}
    assert main(words) == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "strength").iterdir()} == before
    next(iter(before)).write_text("{}")
    with pytest.raises(UserError, match="holds no strength"):
        read_strengths(tmp_path)
