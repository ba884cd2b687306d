"""Tables fit where they are read: a text in LaTeX, a terminal of 50, 80 and 160 columns."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

import guidance_bench as gb
from guidance_bench.cli.main import main
from guidance_bench.experiments.records import committed_results, read_records
from guidance_bench.leaderboard.formats.latex import SETTINGS
from guidance_bench.leaderboard.publish import tables, terminal_table, write_leaderboard

TEXT = 345.0  # points, \textwidth of LaTeX's article at 10 points
STUDIES = ["digits_full", "digits_methods"]


def table_of(name):
    (table,) = tables(gb.load_results(committed_results() / name)).values()
    return table


@pytest.fixture(scope="module", params=STUDIES)
def latex_file(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    words = ["leaderboard", str(committed_results() / request.param), f"output={folder}"]
    assert main(words) == 0
    return folder / "leaderboard.tex"


def width_of(cell: str, bold: bool, size: float = 8.0) -> float:
    """Points of a cell in Computer Modern, from matplotlib's copy of it; seven in a hundred for the small type."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    plain = re.sub(r"\\(textbf|multicolumn\{\d+\}\{c\})", "", cell).replace("$", "").replace("{", "").replace("}", "")
    plain = re.sub(r"\\(pm|uparrow|downarrow)", "+", plain).replace("\\", "").strip()
    if not plain:
        return 0.0
    font = FontProperties(family="cmb10" if bold else "cmr10")
    return 1.07 * TextPath((0, 0), plain.replace(" ", "i"), size=size, prop=font).get_extents().width + 1


def test_the_narrow_table_is_as_wide_as_a_text(latex_file):
    text = latex_file.read_text(encoding="utf-8")
    assert SETTINGS in text and r"\footnotesize" in text and "Images/s" not in text
    rows = [line.removesuffix(r" \\").split(" & ") for line in text.splitlines() if line.count(" & ") >= 5]
    heads = rows[0]
    assert [re.sub(r" .*", "", head) for head in heads] == ["Method", "Setting", "FD", "Prec", "Rec", "NFE"]
    columns = list(zip(*rows, strict=True))
    widths = [max(width_of(c, r"\textbf" in c) for c in column) for column in columns]
    widths[1] = 0.3 * TEXT
    assert sum(widths) + 2 * 3 * len(widths) <= TEXT


def typeset(table: str, folder, paper: str = "") -> str:
    """What pdflatex says of a page with the table."""
    page = rf"\documentclass{{article}}\usepackage{{array,booktabs}}{paper}\begin{{document}}{table}\end{{document}}"
    (folder / "page.tex").write_text(page, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "page.tex"], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX at hand")
def test_it_compiles_without_an_overfull_box(latex_file, tmp_path):
    said = typeset(latex_file.read_text(encoding="utf-8"), tmp_path)
    assert "Overfull \\hbox" not in said


def test_the_full_table_is_an_option(tmp_path, capsys):
    folder = committed_results() / "digits_full"
    assert main(["leaderboard", str(folder), f"output={tmp_path}", "latex=full"]) == 0
    text = (tmp_path / "leaderboard.tex").read_text(encoding="utf-8")
    assert "FD held out" in text and "Images/s" not in text and SETTINGS not in text
    if shutil.which("pdflatex"):
        assert "Overfull \\hbox" not in typeset(text, tmp_path, r"\textwidth=1050pt\paperwidth=1300pt")
    capsys.readouterr()
    assert main(["leaderboard", str(folder), f"output={tmp_path}", "latex=wide"]) == 2
    assert "latex='wide' is not narrow or full" in capsys.readouterr().err


def test_equal_records_give_equal_latex(tmp_path):
    records = read_records(committed_results() / "digits_full")
    texts = {write_leaderboard(r, tmp_path)["leaderboard.tex"].read_text() for r in (records, records[::-1])}
    assert len(texts) == 1


@pytest.mark.parametrize("columns", [50, 80, 160])
@pytest.mark.parametrize("study", STUDIES)
def test_a_terminal_table_is_as_wide_as_the_terminal_and_says_what_it_hides(study, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    table = table_of(study)
    lines = terminal_table(table.best).splitlines()
    assert max(map(len, lines)) <= columns
    head = next(line for line in lines if line.startswith("Method"))
    hidden = (
        " ".join(lines[[i for i, x in enumerate(lines) if x.startswith("not shown")][0] :]) if columns < 160 else ""
    )
    for title in ("FD", "Prec", "Rec", "Acc", "NFE"):
        assert (title in head) != (title in hidden)
    assert "Method" in head and "FD" in head and (columns == 50 or "NFE" in head)
    assert all(f"\n{method[:19]}" in "\n".join(lines) for method in table.best["method"])


def test_the_line_above_a_table_is_not_wider_than_the_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "50")
    assert main(["leaderboard", str(committed_results() / "digits_full"), f"output={tmp_path}"]) == 0
    said = capsys.readouterr().out
    assert max(len(line) for line in said.splitlines() if str(tmp_path) not in line) <= 50
