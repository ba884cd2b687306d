"""A sheet read row by row, for every format."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterator

from ..sheets import Cell, Field, Sheet


def rows_of(sheet: Sheet) -> Iterator[tuple[tuple[Field, Cell], ...]]:
    """The sheet row by row, each cell with its column."""
    for cells in zip(*(field.cells for field in sheet), strict=True):
        yield tuple(zip(sheet, cells, strict=True))


def spaces(sheet: Sheet) -> list[tuple[str, int]]:
    """Neighbouring columns of one feature space: its heading and the number of columns."""
    runs = itertools.groupby(sheet, key=lambda field: field.space)
    return [(f"{space} features" if space else "", len(list(fields))) for space, fields in runs]


def printable(text: str) -> str:
    """Text without what steers a terminal or turns the direction of writing; blanks of any kind become one blank."""
    return visible(" ".join(text.split()))


def visible(text: str) -> str:
    """The same, but blanks and line ends stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join("�" if unicodedata.category(s) in ("Cc", "Cf", "Cs") and s not in "\n\t" else s for s in text)
