"""Sheets as LaTeX (booktabs)."""

from __future__ import annotations

from collections.abc import Iterable

from ..sheets import Cell, Sheet
from .rows import printable, rows_of, spaces

LATEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "·": r"$\cdot$",
}

#: The column of settings in a narrow table (package array).
SETTINGS = r">{\raggedright\arraybackslash}p{0.3\linewidth}"


def latex(sheet: Sheet, caption: str, label: str, narrow: bool = False) -> str:
    """A booktabs table; the feature space stands above its metrics.

    ``narrow`` is for the width of a text: small type, little room between columns, settings in lines of their own.
    """
    columns = "".join("r" if field.numeric else "l" for field in sheet)
    if narrow:
        columns = f"l{SETTINGS}{columns[2:]}"
    body = [
        *_latex_groups(sheet),
        _latex_row(escape_latex(field.short_heading) for field in sheet),
        r"\midrule",
        *(_latex_row(_latex_cell(cell) for _, cell in row) for row in rows_of(sheet)),
    ]
    return "\n".join(
        [
            r"% \usepackage{array,booktabs}" + ("" if narrow else "; wider than a text: cut columns, or turn the page"),
            r"\begin{table}",
            r"\centering",
            *([r"\footnotesize", r"\setlength{\tabcolsep}{3pt}"] if narrow else []),
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


def _latex_row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_cell(cell: Cell) -> str:
    text = escape_latex(cell.text)
    return rf"\textbf{{{text}}}" if cell.bold else text


def escape_latex(text: str) -> str:
    """Text that LaTeX shows as it is."""
    return "".join(LATEX.get(sign, sign) for sign in printable(text))
