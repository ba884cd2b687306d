"""Sheets as plain tables for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import replace

from ..sheets import Field, Sheet
from .rows import printable, rows_of

#: Metrics that a terminal table gives up last.
KEPT_LONGEST = ("Prec", "Rec")
#: Columns that the settings keep at least.
SHORTEST = 10


def terminal(sheet: Sheet, width: int = 80) -> str:
    """A plain table at most ``width`` columns wide; a last line names the columns that did not fit.

    Where it does not fit, metrics beyond the first are left out, precision and recall last; then settings are cut, and
    the other columns go from the right.
    """
    visible = [_visible(field) for field in sheet]
    fields = _fit(visible, width)
    widths = [_width(field) for field in fields]
    widths[1] = max(widths[1] - max(_total(fields) - width, 0), 1)
    head = _terminal_line([field.short_heading for field in fields], fields, widths)
    body = [_terminal_line([cell.text for _, cell in row], fields, widths) for row in rows_of(fields)]
    spaces_named = sorted({field.space for field in fields if field.space})
    above = [f"metrics in the feature space of {', '.join(spaces_named)}"] if spaces_named else []
    hidden = [field.title for field in visible if all(field is not shown for shown in fields)]
    below = textwrap.wrap(f"not shown: {', '.join(hidden)} (a wider terminal shows more)", width) if hidden else []
    return "\n".join([*above, head, "-" * len(head), *body, *below])


def _visible(field: Field) -> Field:
    cells = [replace(cell, text=printable(cell.text)) for cell in field.cells]
    return replace(field, title=printable(field.title), space=printable(field.space), cells=cells)


def _fit(sheet: Sheet, width: int) -> Sheet:
    fields = list(sheet)
    metrics = [field for field in sheet if field.arrow or field.space][1:]
    others = [field for field in sheet[3:] if all(field is not metric for metric in metrics)]
    for field in sorted(reversed(metrics), key=lambda f: f.title in KEPT_LONGEST):
        if _total(fields) > width:
            fields = [f for f in fields if f is not field]
    for field in reversed(others):
        if _total(fields) - max(_width(sheet[1]) - SHORTEST, 0) > width:
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
