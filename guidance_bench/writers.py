"""Sheets as text: Markdown, LaTeX (booktabs), a terminal table; and all settings as CSV."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from .sheets import Cell, Field, Sheet

if TYPE_CHECKING:
    import pandas as pd

#: What a terminal table gives up last.
KEPT = ("Method", "Setting", "Gain", "NFE", "Precision", "Recall")
LATEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "–": "--",
    "·": r"$\cdot$",
    "é": r"\'e",
}


def rows_of(sheet: Sheet) -> Iterator[tuple[tuple[Field, Cell], ...]]:
    """The sheet row by row, each cell with its column."""
    for cells in zip(*(field.cells for field in sheet), strict=True):
        yield tuple(zip(sheet, cells, strict=True))


# -- Markdown


def markdown(sheet: Sheet) -> str:
    """A GitHub table; best values in bold, ids of runs as code."""
    lines = [
        [field.heading for field in sheet],
        ["---:" if field.numeric else ":---" for field in sheet],
        *([_markdown_cell(cell) for _, cell in row] for row in rows_of(sheet)),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _markdown_cell(cell: Cell) -> str:
    if cell.runs:
        return " ".join(f"`{run}`" for run in cell.runs)
    text = escape_markdown(cell.text)
    return f"**{text}**" if cell.bold else text


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is."""
    for sign in "\\`*_|<>[]":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


# -- LaTeX


def latex(sheet: Sheet, caption: str, label: str) -> str:
    """A booktabs table; the feature space stands above its metrics."""
    columns = "".join("r" if field.numeric else "l" for field in sheet)
    body = [
        *_latex_groups(sheet),
        _latex_row(escape_latex(field.short_heading) for field in sheet),
        r"\midrule",
        *(_latex_row(_latex_cell(cell) for _, cell in row) for row in rows_of(sheet)),
    ]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape_latex(caption)}}}",
            rf"\label{{tab:{label}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _latex_groups(sheet: Sheet) -> list[str]:
    groups = spaces(sheet)
    if not any(space for space, _ in groups):
        return []
    cells, rules, start = [], [], 1
    for space, width in groups:
        cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escape_latex(space)}}}")
        rules += [rf"\cmidrule(lr){{{start}-{start + width - 1}}}"] if space else []
        start += width
    return [_latex_row(cells), "".join(rules)]


def spaces(sheet: Sheet) -> list[tuple[str, int]]:
    """Neighbouring columns of one feature space: its heading and the number of columns."""
    runs = itertools.groupby(sheet, key=lambda field: field.space)
    return [(f"{space} features" if space else "", len(list(fields))) for space, fields in runs]


def _latex_row(cells: Iterator[str] | list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_cell(cell: Cell) -> str:
    text = escape_latex(cell.text)
    return rf"\textbf{{{text}}}" if cell.bold else text


def escape_latex(text: str) -> str:
    """Text that LaTeX shows as it is."""
    return "".join(LATEX.get(sign, sign) for sign in text)


# -- terminal


def terminal(sheet: Sheet, width: int = 80) -> str:
    """A plain table at most ``width`` columns wide; what does not fit is left out, the least important first."""
    kept = _fit(sheet, width)
    widths = [_width(field) for field in kept]
    excess = sum(widths) + 2 * (len(widths) - 1) - width
    widths[1] -= max(excess, 0)
    lines = [_terminal_line([f.short_heading for f in kept], kept, widths)]
    lines += [_terminal_line([cell.text for _, cell in row], kept, widths) for row in rows_of(kept)]
    names = sorted({f.space for f in kept if f.space})
    spaces_line = [f"metrics in the feature space of {', '.join(names)}"[:width]] if names else []
    return "\n".join([*spaces_line, lines[0], "-" * len(lines[0]), *lines[1:]])
