"""Two sets of runs compared; runs made more than once; records of several evaluators."""

from __future__ import annotations

import pytest
from synthetic_records import BASE, record_of

from guidance_bench.cli.main import main
from guidance_bench.core.errors import UserError
from guidance_bench.experiments.records import to_frame
from guidance_bench.experiments.selection import select_runs
from guidance_bench.leaderboard.comparison.compare import compare
from guidance_bench.leaderboard.protocol_tables import tables
from guidance_bench.leaderboard.publish import write_leaderboard
from guidance_bench.storage.files import write_json


def runs(method, scale, values, **more):
    parameters = {} if scale is None else {"scale": scale}
    return [record_of(method, parameters, s, {**BASE, "frechet_distance": v}, **more) for s, v in values.items()]


NONE = runs("none", None, {0: 4.0, 1: 5.0, 2: 6.0})
IG = runs("ig", 1.4, {0: 3.0, 1: 4.01, 2: 4.99}) + runs("ig", 1.7, {0: 3.5, 1: 4.5, 2: 5.5})


def test_two_sides_by_hand():
    (found,) = compare(IG[:3], NONE)
    one = found.differences[0]
    assert (one.pairs, one.mean) == (3, pytest.approx(-1.0))
    assert one.p_flip == 0.25 and one.p < 0.001
    assert found.verdict.startswith("A is better by FD (digits CNN)")
    (other,) = compare(NONE, IG[:3])
    assert other.verdict.startswith("B is better")
    (same,) = compare(NONE, runs("cfg", 1.1, {0: 4.1, 1: 4.9, 2: 6.05}))
    assert same.verdict.startswith("not told apart")


def test_a_side_of_several_settings_is_scored_as_one_that_tunes():
    (found,) = compare(IG, NONE)
    assert found.words == ("ig, best of 2 settings on the other seeds", "none")
    assert found.values[0][0] == {0: 3.0, 1: 4.01, 2: 4.99}
    with pytest.raises(UserError, match="too few seeds .* give the runs of one, such as [0-9a-f]{12}"):
        compare([IG[0], IG[3]], NONE)


def test_one_shared_seed_tells_nothing():
    (found,) = compare(IG[:1], NONE[:1])
    assert "run both with more seeds" in found.verdict


def test_no_common_protocol_is_one_line():
    with pytest.raises(UserError, match="share no protocol"):
        compare(IG, runs("none", None, {0: 1.0}, samples=500))


def test_words_name_methods_runs_and_folders(tmp_path):
    write_json(tmp_path / "a" / "record.json", IG[0])
    pool = [*IG, *NONE]
    assert select_runs("ig", pool) == IG
    assert select_runs(f"{IG[0]['run_id']},{IG[1]['run_id']}", pool) == IG[:2]
    assert select_runs(str(tmp_path / "a"), []) == [IG[0]]
    with pytest.raises(UserError, match="did you mean 'none'"):
        select_runs("nonne", pool)
    with pytest.raises(UserError, match="no record of run"):
        select_runs("0" * 12, pool)


def test_the_verb_answers_on_committed_records(capsys):
    assert main(["compare", "ig", "cfg", "records=benchmarks/results/digits_full"]) == 0
    printed = capsys.readouterr().out
    assert "A: ig, best of 5 settings on the other seeds" in printed and "FD ↓" in printed
    assert "A is better by FD (digits CNN) (paired t over 3 seeds" in printed or "not told apart" in printed
    assert main(["compare", "ig"]) == 2
    assert main(["compare", "ig", "nothing_like_it"]) == 2


def test_runs_made_on_two_machines_are_kept_and_shown(tmp_path):
    first = runs("ig", 1.4, {0: 3.0}, time="2026-01-01T00:00:00Z")[0]
    again = runs("ig", 1.4, {0: 2.5}, time="2026-02-01T00:00:00Z")[0]
    again["environment"]["device"] = "Another processor"
    (table,) = tables(to_frame([first, again, again, *NONE])).values()
    assert table.again["device"].tolist() == ["Another processor", "Some processor, 2 cores"]
    assert (
        "Made more than once, on 2 machines: 1 run; the latest record counts. FD of a run differs by at most 0.5"
        in (table.note)
    )
    assert table.settings.set_index("method")["frechet_distance_digits_cnn"]["ig"] == 2.5
    files = write_leaderboard([first, again, *NONE], tmp_path)
    for name in ("leaderboard.md", "leaderboard.html"):
        text = files[name].read_text(encoding="utf-8")
        assert "Another processor" in text and "ade more than once" in text


def test_records_of_two_classifiers_never_share_a_table():
    other = runs("ig", 1.4, {0: 1.0})
    other[0]["evaluator"]["weights_sha256"] = "d2" * 32
    found = tables(to_frame([*NONE, *other]))
    assert [table.settings["method"].tolist() for table in found.values()] in ([["none"], ["ig"]], [["ig"], ["none"]])


def test_records_of_mixed_feature_spaces_make_a_table_each(tmp_path):
    other = [record_of(m, None, 0, {"fid": 2.0}, suffix="", evaluator="inception") for m in ("none", "ig")]
    found = tables(to_frame([*NONE, *other]))
    assert sorted(table.primary.name for table in found.values()) == ["fid", "frechet_distance_digits_cnn"]
    assert write_leaderboard([*NONE, *other], tmp_path)
    third = record_of("cfg", None, 0, {"fid": 2.0}, suffix="", evaluator="clip")
    assert len(tables(to_frame([*NONE, *other, third]))) == 3


def test_a_comparison_fits_a_narrow_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "50")
    assert main(["compare", "ig", "cfg", "records=benchmarks/results/digits_full"]) == 0
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 50 and "not shown: 95 %" in told and "A is better by FD" in told
