"""Sheets as text: Markdown, LaTeX (booktabs), a terminal table; and all settings as CSV."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .sheets import Cell, Field, Sheet
from .spec import canonical

if TYPE_CHECKING:
    import pandas as pd

#: Metrics that a terminal table gives up last.
KEPT_LONGEST = ("Prec", "Rec")
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
        return " ".join(f"`{label}`" for _, label in cell.runs)
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


def _latex_row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_cell(cell: Cell) -> str:
    text = escape_latex(cell.text)
    return rf"\textbf{{{text}}}" if cell.bold else text


def escape_latex(text: str) -> str:
    """Text that LaTeX shows as it is."""
    return "".join(LATEX.get(sign, sign) for sign in text)


# -- terminal


def terminal(sheet: Sheet, width: int = 80) -> str:
    """A plain table at most ``width`` columns wide.

    Where it does not fit, metrics beyond the first are left out, precision and recall last; then settings are cut.
    """
    fields = _fit(sheet, width)
    widths = [_width(field) for field in fields]
    widths[1] -= max(_total(fields) - width, 0)
    head = _terminal_line([field.short_heading for field in fields], fields, widths)
    body = [_terminal_line([cell.text for _, cell in row], fields, widths) for row in rows_of(fields)]
    spaces_named = sorted({field.space for field in fields if field.space})
    above = [f"metrics in the feature space of {', '.join(spaces_named)}"] if spaces_named else []
    return "\n".join([*above, head, "-" * len(head), *body])


def _fit(sheet: Sheet, width: int) -> Sheet:
    fields = list(sheet)
    metrics = [field for field in sheet if field.arrow or field.space][1:]
    for field in sorted(reversed(metrics), key=lambda f: f.title in KEPT_LONGEST):
        if _total(fields) > width:
            fields = [f for f in fields if f is not field]
    return fields


def _total(fields: Sheet) -> int:
    return sum(_width(field) for field in fields) + 2 * (len(fields) - 1)


def _width(field: Field) -> int:
    return max(len(text) for text in (field.short_heading, *(cell.text for cell in field.cells)))


def _terminal_line(texts: Sequence[str], fields: Sheet, widths: Sequence[int]) -> str:
    cut = [text if len(text) <= width else f"{text[: width - 1]}…" for text, width in zip(texts, widths, strict=True)]
    rows = zip(cut, fields, widths, strict=True)
    return "  ".join(
        f"{text:>{width}}" if field.numeric else f"{text:<{width}}" for text, field, width in rows
    ).rstrip()


# -- CSV


def settings_csv(settings: pd.DataFrame) -> str:
    """Every column in full precision; lists with blanks between, parameters as JSON."""
    texts = settings.copy()
    for name in settings.columns:
        texts[name] = [_csv_value(value) for value in settings[name]]
    text: str = texts.to_csv(index=False, lineterminator="\n")
    return text


def _csv_value(value: Any) -> Any:
    if isinstance(value, dict):
        return canonical(value)
    return " ".join(map(str, value)) if isinstance(value, list) else value
