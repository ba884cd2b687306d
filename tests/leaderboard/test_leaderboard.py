"""The written files: Markdown, CSV, LaTeX, the page; and the command that writes them."""

from __future__ import annotations

import csv
import html.parser
import io
import json
import math
import re

import numpy as np
import pytest
from synthetic_records import distance_record, record_of

from guidance_bench.cli.results.leaderboard import command as leaderboard_command
from guidance_bench.core.errors import UserError
from guidance_bench.experiments.records import to_frame
from guidance_bench.leaderboard import publish as publish_module
from guidance_bench.leaderboard.formats.latex import SETTINGS, escape_latex
from guidance_bench.leaderboard.formats.markdown import escape_markdown
from guidance_bench.leaderboard.page.render import unpack
from guidance_bench.leaderboard.publish import (
    publish,
    write_leaderboard,
)
from guidance_bench.storage.files import write_json

FD = "frechet_distance_digits_cnn"


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
