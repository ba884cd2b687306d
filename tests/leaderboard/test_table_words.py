"""What tables say: headings, decimals, settings, captions, notes."""

from __future__ import annotations

import math

import pytest
from synthetic_records import PARAMETERS, line_up, record_of

from guidance_bench.experiments.records import to_frame
from guidance_bench.leaderboard.metric_columns import column_of, format_means
from guidance_bench.leaderboard.publish import (
    sweep_table,
    tables,
    terminal_table,
)
from guidance_bench.leaderboard.setting_texts import setting_texts, swept_parameter

FD = "frechet_distance_digits_cnn"


@pytest.mark.parametrize(
    ("name", "evaluator", "heading"),
    [
        (FD, "digits_cnn", "FD (digits CNN) ↓"),
        ("recall_digits_cnn", "digits_cnn", "Recall (digits CNN) ↑"),
        ("label_accuracy_digits_cnn", "digits_cnn", "Label accuracy (digits CNN) ↑"),
        ("fid", "inception", "FID ↓"),
        ("sfid", "inception", "sFID ↓"),
        ("inception_score", "inception", "IS ↑"),
        ("precision", "inception", "Precision ↑"),
        ("precision_adm_fp16", "inception", "Precision adm fp16 ↑"),
        ("frechet_distance_dinov2", "dinov2", "FD (DINOv2) ↓"),
    ],
)
def test_headings_say_the_feature_space(name, evaluator, heading):
    assert column_of(name, evaluator).heading == heading


@pytest.mark.parametrize(
    ("means", "spreads", "texts"),
    [
        ([2.0934, 11.8], (), ["2.09", "11.80"]),
        ([2.0934, 11.8], [0.051, math.nan], ["2.09 ± 0.05", "11.80"]),
        ([0.915, 0.8], (), ["0.915", "0.800"]),
        ([131.7, 258.94], (), ["131.7", "258.9"]),
        ([0.00012, 0.5], (), ["0.00012", "0.50000"]),
        ([math.nan, 1.5], (), ["-", "1.50"]),
        ([0.0], (), ["0.000"]),
    ],
)
def test_numbers_have_sensible_decimals(means, spreads, texts):
    assert format_means(means, spreads) == texts


def test_settings_show_scales_what_varies_and_what_is_not_default():
    base = PARAMETERS["ig_cfg"]
    same = [{**base, "ig_scale": s} for s in (1.3, 1.6)]
    assert setting_texts("ig_cfg", same) == ["ig_scale=1.3, cfg_scale=1.2", "ig_scale=1.6, cfg_scale=1.2"]
    assert setting_texts("ig_cfg", [{**base, "cfg_high": 0.5}]) == ["ig_scale=1.4, cfg_scale=1.2, cfg_high=0.5"]
    taps = [{**PARAMETERS["ig"], "tap": tap} for tap in (None, 2)]
    assert setting_texts("ig", taps) == ["tap=null, scale=1.7", "tap=2, scale=1.7"]
    assert setting_texts("unheard_of", [{"a": True, "b": [1, 2]}]) == ["a=true, b=[1,2]"]


def test_the_swept_parameter_is_found_from_the_settings():
    base = PARAMETERS["ig_cfg"]
    assert swept_parameter([{**base, "ig_scale": s} for s in (1.3, 1.6)]) == "ig_scale"
    assert swept_parameter([{**base, "cfg_high": s} for s in (0.3, 0.5, 0.7)]) == "cfg_high"
    assert swept_parameter([PARAMETERS["cfg"]]) == "scale"
    assert swept_parameter([{}]) is None
    assert swept_parameter([{"mode": "a"}, {"mode": "b"}]) is None


def test_protocols_never_share_a_table():
    records = line_up() + line_up(samples=500) + line_up(solver={"name": "heun", "parameters": {"steps": 10}})
    found = tables(to_frame(records))
    assert len(found) == 3
    for protocol, table in found.items():
        assert set(table.runs["protocol"]) == set(table.settings["protocol"]) == {protocol}
        assert len(table.settings) == 13
        assert table.best["method"].tolist()[0] == "ig"
    captions = [table.caption for table in found.values()]
    assert sum("500 a run" in caption for caption in captions) == 1
    assert sum("heun(steps=10)" in caption for caption in captions) == 1


def test_the_caption_states_the_protocol(three_seeds):
    (table,) = tables(to_frame(three_seeds)).values()
    for words in (
        "digits v1",
        "sit, trained for 1,000 steps",
        "Weak network: sit, trained for 200 steps",
        "euler(",
        "1,000 a run, balanced labels, fp32",
        "Seeds: 0, 1, 2",
        "Features: digits CNN",
        table.protocol,
    ):
        assert words in table.caption
    assert "chosen on the same samples that are scored" in table.note
    assert "not given the same number of settings" in table.note  # two of ig, one of cfg
    assert "over 3 seeds" in table.note


def test_missing_seeds_are_said_and_counted(three_seeds):
    (table,) = tables(to_frame(three_seeds[:-1])).values()
    assert "column Seeds" in table.note
    assert "Seeds" in terminal_table(table.best)


def test_terminal_tables_fit_eighty_columns(three_seeds):
    (table,) = tables(to_frame(line_up((0, 1, 2)))).values()
    text = terminal_table(table.best)
    assert max(map(len, text.splitlines())) <= 80
    assert text.splitlines()[0] == "metrics in the feature space of digits CNN"
    for words in ("FD ↓", "gain", "Prec ↑", "Rec ↑", "NFE", "ig_scale=1.6 cfg_scale=1.2"):
        assert words in text
    long = record_of("a_method_with_a_very_long_name_indeed", {f"parameter_{i}": 1.25 for i in range(8)})
    assert max(map(len, sweep_table([long]).splitlines())) <= 80
