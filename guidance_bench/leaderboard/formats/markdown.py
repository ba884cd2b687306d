"""Sheets as GitHub Markdown."""

from __future__ import annotations

from ..sheets import Cell, Sheet
from .rows import printable, rows_of

ESCAPES = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_|<>[]"})


def markdown(sheet: Sheet) -> str:
    """A GitHub table; best values in bold, ids of runs as code."""
    lines = [
        [escape_markdown(field.heading) for field in sheet],
        ["---:" if field.numeric else ":---" for field in sheet],
        *([_markdown_cell(cell) for _, cell in row] for row in rows_of(sheet)),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _markdown_cell(cell: Cell) -> str:
    if cell.runs:
        return " ".join(f"`{printable(label)}`" for _, label in cell.runs)
    text = escape_markdown(cell.text)
    return f"**{text}**" if cell.bold else text


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is."""
    return printable(text).translate(ESCAPES)
