"""From runs to numbers, against hand calculation: means, gains, held-out values, the front of cost and quality."""

from __future__ import annotations

import math

import numpy as np
import pytest
from synthetic_records import BASE, distance_record, record_of

from guidance_bench.core.errors import UserError
from guidance_bench.experiments.records import to_frame
from guidance_bench.leaderboard.aggregate import aggregate, best, pareto
from guidance_bench.leaderboard.comparison.seeds import held_out
from guidance_bench.leaderboard.formats.markdown import markdown
from guidance_bench.leaderboard.metric_columns import column_of
from guidance_bench.leaderboard.publish import (
    tables,
    terminal_table,
)
from guidance_bench.leaderboard.sheets import best_sheet

FD = "frechet_distance_digits_cnn"


def test_aggregate_averages_over_seeds(three_seeds):
    settings = aggregate(to_frame(reversed(three_seeds)), [FD])
    assert settings["method"].tolist() == ["none", "cfg", "ig", "ig"]
    assert settings["setting"].tolist() == ["", "scale=1.5", "scale=1.4", "scale=1.7"]
    assert settings["n"].tolist() == [3, 3, 3, 3]
    assert settings[FD].tolist() == [5.0, 10.0, 4.0, 4.0]
    assert settings[f"{FD}.sd"].tolist() == pytest.approx([1.0, 0.0, 1.0, math.sqrt(7.0)])
    assert settings[f"{FD}.values"].tolist()[3] == [2.0, 3.0, 7.0]
    assert settings["seeds"].tolist()[3] == [0, 1, 2]
    assert settings["cost.nfe"].tolist() == [20.0, 40.0, 20.0, 20.0]


def test_a_single_seed_has_no_spread():
    settings = aggregate(to_frame([record_of("ig")]))
    assert settings["n"].tolist() == [1]
    assert math.isnan(settings[f"{FD}.sd"].iloc[0])


def test_settings_averaged_at_once_have_the_very_numbers_of_each_alone():
    """Settings of one to five runs, some of which lack a cost: numpy adds a row of a block as it adds the row alone."""
    rng = np.random.default_rng(0)
    records = [
        distance_record("ig", 1.1 + place, seed, float(rng.lognormal()))
        for place in range(40)
        for seed in range(1 + place % 5)
    ]
    frame = to_frame(records)
    frame.loc[rng.random(len(frame)) < 0.3, "cost.seconds"] = math.nan
    settings = aggregate(frame, [FD])
    assert settings["n"].tolist() == [1 + place % 5 for place in range(40)]
    for _, row in settings.iterrows():
        own = frame[frame["run_id"].isin(row["run_ids"])].sort_values("seed")
        values, costs = own[FD].to_numpy(), own["cost.seconds"].dropna().to_numpy()
        assert row[FD] == values.mean() and row[f"{FD}.values"] == values.tolist()
        assert len(values) == 1 or row[f"{FD}.sd"] == values.std(ddof=1)
        assert row["cost.seconds"] == costs.mean() if len(costs) else math.isnan(row["cost.seconds"])


def test_a_repeated_run_counts_once_and_the_later_record_holds():
    first = distance_record("ig", 1.7, 0, 3.0, time="2026-01-01T00:00:00Z")
    again = distance_record("ig", 1.7, 0, 2.5, time="2026-02-01T00:00:00Z")
    for records in ([first, again], [again, first]):
        settings = aggregate(to_frame(records))
        assert settings["n"].tolist() == [1]
        assert settings[FD].tolist() == [2.5]


def test_two_codes_under_one_name_are_two_methods():
    records = [record_of("mine", {"scale": 2.0}, seed, plugin=c * 64) for seed, c in enumerate("ab")]
    settings = aggregate(to_frame(records))
    assert settings["method"].tolist() == ["mine@aaaaaaaa", "mine@bbbbbbbb"]
    assert settings["n"].tolist() == [1, 1]


def test_best_ranks_methods_and_counts_settings(three_seeds):
    chosen = best(aggregate(to_frame(three_seeds)), FD)
    assert chosen["method"].tolist() == ["ig", "none", "cfg"]
    assert chosen["settings"].tolist() == [2, 1, 1]
    assert chosen["setting"].tolist() == ["scale=1.4", "", "scale=1.5"]  # of equals the first in the table
    assert chosen["gain"].tolist() == pytest.approx([20.0, math.nan, -100.0], nan_ok=True)


def test_held_out_scores_each_seed_at_what_was_best_on_the_others(three_seeds):
    """ig by hand: seed 0 takes 1.4 (4.5 against 5.0) and scores 3, seed 1 takes 1.4 (4.0, 4.5) and scores 4, seed 2
    takes 1.7 (3.5, 2.5) and scores 7; its best mean, 4.0, is flattery."""
    settings = aggregate(to_frame(three_seeds))
    own = settings[settings["method"] == "ig"]
    assert held_out(own, column_of(FD, "digits_cnn")) == {0: 3.0, 1: 4.0, 2: 7.0}
    chosen = best(settings, FD).set_index("method")
    assert chosen["held_out"].to_dict() == pytest.approx({"ig": 14 / 3, "none": 5.0, "cfg": 10.0})
    assert chosen["held_out_sd"]["none"] == pytest.approx(1.0)
    (table,) = tables(to_frame(three_seeds)).values()
    text = markdown(best_sheet(table.best, table.metrics))
    assert "FD held out" in text and "4.67 ± 2.08" in text and "each seed is scored at what was best" in table.note


def test_held_out_prefers_the_higher_where_that_is_better():
    values = {1.4: (0.9, 0.1, 0.1), 1.7: (0.2, 0.8, 0.8)}
    records = [
        record_of("ig", {"scale": scale}, seed, {**BASE, "recall": value})
        for scale, draws in values.items()
        for seed, value in enumerate(draws)
    ]
    column = column_of("recall_digits_cnn", "digits_cnn")
    assert held_out(aggregate(to_frame(records)), column) == {0: 0.2, 1: 0.1, 2: 0.1}


def test_one_seed_holds_nothing_out():
    records = [record_of("ig"), record_of("none")]
    chosen = best(aggregate(to_frame(records)), FD)
    assert chosen["held_out"].isna().all()
    (table,) = tables(to_frame(records)).values()
    assert "held out" not in markdown(best_sheet(table.best, table.metrics)) + table.note


def test_gain_is_positive_where_higher_is_better():
    scores = {"none": 8.0, "ig": 9.0}
    records = [record_of(m, metrics={**BASE, "classifier_score": v}) for m, v in scores.items()]
    chosen = best(aggregate(to_frame(records)), "classifier_score_digits_cnn")
    assert chosen["method"].tolist() == ["ig", "none"]
    assert chosen["gain"].iloc[0] == pytest.approx(12.5)


def test_gain_is_over_the_seeds_that_both_have(three_seeds):
    records = [r for r in three_seeds if r["spec"]["method"]["name"] == "none" or r["spec"]["seed"] == 0]
    chosen = best(aggregate(to_frame(records)), FD)
    assert chosen.set_index("method")["gain"]["ig"] == pytest.approx(50.0)  # 2 against none's 4 on seed 0
    apart = [r for r in three_seeds if (r["spec"]["method"]["name"] == "none") == (r["spec"]["seed"] == 0)]
    assert best(aggregate(to_frame(apart)), FD)["gain"].isna().all()


def test_best_without_none_has_no_gain():
    records = [record_of("ig"), record_of("cfg")]
    chosen = best(aggregate(to_frame(records)), FD)
    assert chosen["gain"].isna().all()
    (table,) = tables(to_frame(records)).values()
    assert "FD gain" not in [field.title for field in best_sheet(table.best, table.metrics)]
    assert "gain" not in table.note and "gain" not in terminal_table(table.best)


def test_pareto_front_by_hand():
    points = {1.1: (20, 3.0), 1.2: (20, 2.5), 1.3: (30, 2.5), 1.4: (30, 2.0), 1.5: (40, 2.2), 1.6: (50, 1.9)}
    records = [distance_record("ig", scale, 0, value, nfe=float(nfe)) for scale, (nfe, value) in points.items()]
    front = pareto(aggregate(to_frame(records)), "cost.nfe", FD)
    assert [p["scale"] for p in front["parameters"]] == [1.2, 1.4, 1.6]
    upside = pareto(aggregate(to_frame(records)), "cost.nfe", "precision_digits_cnn")
    assert sorted(p["scale"] for p in upside["parameters"]) == [1.1, 1.2]  # equal in both: both stay


def test_unknown_metrics_are_named_with_the_closest(three_seeds):
    frame = to_frame(three_seeds)
    with pytest.raises(UserError, match="frechet_distanc_digits_cnn.*did you mean 'frechet_distance_digits_cnn'"):
        aggregate(frame, ["frechet_distanc_digits_cnn"])
    with pytest.raises(UserError, match="no metric 'fid' to rank by"):
        best(aggregate(frame), "fid")


def test_a_metric_that_nobody_registered_is_shown_but_ranks_nothing():
    records = [record_of("ig", metrics={"frechet_distance": 2.0, "my_score": 3.0}), record_of("none")]
    column = column_of("my_score_digits_cnn", "digits_cnn")
    assert (column.heading, column.direction) == ("my score (digits CNN)", "")
    with pytest.raises(UserError, match="cannot rank by 'my_score_digits_cnn'"):
        best(aggregate(to_frame(records)), column.name)
