"""A sheet read row by row, for every format."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from ..sheets import Cell, Field, Sheet

#: Signs of the classes Cc, Cf and Cs, but for the tabulator and the end of a line.
STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f]"
)


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
    return text if text.isascii() and text.isprintable() else STEERING.sub("�", text)
