"""Leaderboard numbers against hand calculation, and what the written tables say."""

from __future__ import annotations

import csv
import html.parser
import io
import json
import math
import re

import numpy as np
import pytest
from synthetic_records import BASE, PARAMETERS, line_up, record_of

from guidance_bench.cli.results.leaderboard import command as leaderboard_command
from guidance_bench.core.errors import UserError
from guidance_bench.experiments.records import to_frame
from guidance_bench.leaderboard import publish as publish_module
from guidance_bench.leaderboard.aggregate import aggregate, best, pareto
from guidance_bench.leaderboard.comparison.seeds import held_out
from guidance_bench.leaderboard.formats.latex import SETTINGS, escape_latex
from guidance_bench.leaderboard.formats.markdown import escape_markdown, markdown
from guidance_bench.leaderboard.metric_columns import column_of, format_means
from guidance_bench.leaderboard.page.render import unpack
from guidance_bench.leaderboard.publish import (
    publish,
    sweep_table,
    tables,
    terminal_table,
    write_leaderboard,
)
from guidance_bench.leaderboard.setting_texts import setting_texts, swept_parameter
from guidance_bench.leaderboard.sheets import best_sheet
from guidance_bench.storage.files import write_json

FD = "frechet_distance_digits_cnn"


def distance_record(method, scale, seed, value, **more):
    parameters = {} if scale is None else {"scale": scale}
    return record_of(method, parameters, seed, {**BASE, "frechet_distance": value}, **more)


@pytest.fixture(scope="module")
def three_seeds():
    """Distances whose means and deviations are round numbers."""
    values = {
        ("none", None): (4.0, 5.0, 6.0),
        ("ig", 1.4): (3.0, 4.0, 5.0),
        ("ig", 1.7): (2.0, 3.0, 7.0),
        ("cfg", 1.5): (10.0, 10.0, 10.0),
    }
    nfe = {"none": 20.0, "ig": 20.0, "cfg": 40.0}
    return [
        distance_record(method, scale, seed, value, nfe=nfe[method])
        for (method, scale), draws in values.items()
        for seed, value in enumerate(draws)
    ]


# -- numbers


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


# -- words


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


# -- tables


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


@pytest.fixture(scope="module")
def written(three_seeds, tmp_path_factory):
    folder = tmp_path_factory.mktemp("board")
    return folder, write_leaderboard(three_seeds, folder)


def test_every_file_is_returned_and_there(written):
    folder, files = written
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert set(files) == found
    assert all(path == folder / name for name, path in files.items())
    assert {"leaderboard.md", "leaderboard.csv", "leaderboard.tex", "leaderboard.html"} <= found
    assert {f"figures/{n}.{e}" for n in ("scale", "precision_recall", "cost") for e in ("png", "svg")} <= found


def test_markdown_marks_the_best(written):
    lines = written[1]["leaderboard.md"].read_text(encoding="utf-8").splitlines()
    header = next(line for line in lines if line.startswith("| Method"))
    assert "FD (digits CNN) ↓" in header and "Precision (digits CNN) ↑" in header
    row = next(line for line in lines if line.startswith("| ig "))
    assert row.split(" | ")[1:3] == ["scale=1.4", "**4.00 ± 1.00**"]
    assert "+20.0 %" in row
    assert header.count("|") == row.count("|")


def test_csv_holds_every_setting_in_full_precision(written):
    rows = list(csv.DictReader(io.StringIO(written[1]["leaderboard.csv"].read_text(encoding="utf-8"))))
    assert [row["method"] for row in rows] == ["none", "cfg", "ig", "ig"]
    assert [row["best"] for row in rows] == ["True", "True", "True", "False"]
    assert float(rows[3][f"{FD}.sd"]) == math.sqrt(7.0)
    assert rows[3][f"{FD}.values"] == "2.0 3.0 7.0"
    assert json.loads(rows[3]["parameters"])["scale"] == 1.7


def test_latex_is_escaped_and_balanced(written):
    text = written[1]["leaderboard.tex"].read_text(encoding="utf-8")
    assert text.count(r"\begin{") == text.count(r"\end{") == 2
    assert text.count("{") == text.count("}")
    columns = re.search(r"\\begin\{tabular\}\{(.*)\}", text)[1].replace(SETTINGS, "l")
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    assert len(body) == 3
    assert {len(line.split(" & ")) for line in body} == {len(columns)}
    assert r"\textbf{4.00 $\pm$ 1.00}" in text and r"FD $\downarrow$" in text
    assert all(ord(sign) < 128 for sign in text)


def test_escapes():
    assert escape_latex(r"a_b 5% & #1 {x} ~^\ ") == (
        r"a\_b 5\% \& \#1 \{x\} \textasciitilde{}\textasciicircum{}\textbackslash{}"
    )
    assert escape_markdown("a|b_c <i>\n*d*") == r"a\|b\_c \<i\> \*d\*"


class Page(html.parser.HTMLParser):
    """Ids, links and what a page loads from elsewhere; refuses tags that do not nest."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loads, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        known = dict(attributes)
        self.ids += [known["id"]] if "id" in known else []
        self.links += [known["href"]] if tag == "a" else []
        self.loads += [known[k] for k in ("src", "srcset") if k in known] + ([known["href"]] if tag == "link" else [])
        if tag not in ("meta", "img", "link", "br", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_needs_nothing_beside_it_and_links_rows_to_records(written, three_seeds):
    text = written[1]["leaderboard.html"].read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert page.loads == [] and len(page.ids) == len(set(page.ids))
    assert "url(" not in text and "@import" not in text and "http" not in text
    data = unpack(text)
    run_ids = {record["run_id"] for record in three_seeds}
    assert {run for board in data["boards"] for runs in board["runs"] for run, _, _ in runs} == run_ids
    assert {run: json.loads(record) for run, record in data["records"].items()} == {r["run_id"]: r for r in three_seeds}
    assert all(figure["svg"].startswith("<?xml") for figure in data["boards"][0]["figures"])
    for words in ("Some processor, 2 cores", "torch 2.14.0", "in the feature space of digits CNN"):
        assert words in text


def test_hostile_names_do_not_break_out_of_the_page(tmp_path):
    bad = "<script>alert(1)</script>|_&$x_{$"
    records = [record_of(bad, {"scale": 2.0}), record_of("none")]
    images = {record["run_id"]: np.zeros((4, 8, 8, 1), np.uint8) for record in records}
    files = write_leaderboard(records, tmp_path, samples=images)
    text = files["leaderboard.html"].read_text(encoding="utf-8")
    assert "<script>alert" not in text and "&lt;script&gt;alert" in text
    assert Page(text).open == []
    assert "<script>" not in files["leaderboard.md"].read_text(encoding="utf-8")
    assert r"\$" in files["leaderboard.tex"].read_text(encoding="utf-8")
    assert all(path.resolve().is_relative_to(tmp_path.resolve()) for path in files.values())


def test_the_page_shows_the_record_that_counts(tmp_path):
    records = [distance_record("ig", 1.7, 0, v, time=f"2026-0{v:.0f}-01T00:00:00Z") for v in (3.0, 2.0)]
    text = write_leaderboard(records, tmp_path)["leaderboard.html"].read_text(encoding="utf-8")
    shown = "".join(unpack(text)["records"].values())
    assert records[0]["sha256"] in shown and records[1]["sha256"] not in shown


def test_equal_records_give_equal_files_in_any_order(written, three_seeds, tmp_path):
    again = write_leaderboard(list(reversed(three_seeds)), tmp_path)
    assert set(again) == set(written[1])
    for name, path in written[1].items():
        assert again[name].read_bytes() == path.read_bytes(), name


def test_several_protocols_get_their_own_sections_and_figures(tmp_path):
    records = [record_of(method, samples=samples) for method in ("none", "ig") for samples in (500, 1000)]
    files = write_leaderboard(records, tmp_path)
    assert sum(name.startswith("figures/scale-") and name.endswith(".png") for name in files) == 2
    text = files["leaderboard.html"].read_text(encoding="utf-8")
    assert len(re.findall(r'<section id="protocol-', text)) == 2
    assert "cannot be compared" in text
    assert files["leaderboard.tex"].read_text(encoding="utf-8").count(r"\begin{table}") == 2


# -- the command


def test_the_command_reads_records_and_prints_the_table(tmp_path, capsys):
    for record in (record_of("none"), record_of("ig_cfg", {"ig_scale": 1.6})):
        write_json(tmp_path / "runs" / record["run_id"] / "record.json", record)
    assert leaderboard_command([str(tmp_path / "runs"), f"output={tmp_path / 'board'}"]) == 0
    printed = capsys.readouterr().out
    assert (tmp_path / "board" / "leaderboard.md").is_file()
    assert "ig_scale=1.6 cfg_scale=1.2" in printed and str(tmp_path / "board") in printed


def test_a_folder_without_records_is_one_clear_line(tmp_path):
    with pytest.raises(UserError, match="holds no records") as caught:
        leaderboard_command([str(tmp_path), f"output={tmp_path / 'board'}"])
    assert "\n" not in str(caught.value) and repr(str(tmp_path)) in str(caught.value)
    with pytest.raises(UserError, match="at least one record"):
        publish([], tmp_path)


def test_an_output_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        write_leaderboard([record_of("ig"), record_of("none")], tmp_path / "file" / "board")


def test_the_records_become_rows_once(three_seeds, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(publish_module, "to_frame", lambda records: made.append(len(records)) or to_frame(records))
    publish(three_seeds, tmp_path)
    assert made == [12]
