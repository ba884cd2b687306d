"""Rows that papers printed, as tables of their own: marked as reported, in the order of their declaration, unranked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..experiments.published.declaration import NUMBERS, Declaration, PublishedRow
from .metric_columns import column_of
from .registered.look_up import registered
from .setting_texts import plain
from .sheets import Cell, Field, Sheet

#: What the first column says of every row.
MARK = "reported"


@dataclass(frozen=True)
class Reported:
    """The printed rows of a benchmark.

    Attributes:
        benchmark: its name.
        note: what they are, and what they are not.
        sheet: one row a printed row.
    """

    benchmark: str
    note: str
    sheet: Sheet


def reported_tables(names: Iterable[str] | None = None) -> list[Reported]:
    """The printed rows of benchmarks that declare some, each declaration once.

    Args:
        names: of benchmarks; None: those that come with the project.
    """
    known = registered()
    wanted = [name for name, one in known.benchmarks.items() if one.ours] if names is None else sorted(set(names))
    seen: list[Declaration] = []
    found = []
    for name in wanted:
        declared = known.declarations.get(name)
        if declared is not None and declared.rows and declared not in seen:
            seen.append(declared)
            found.append(Reported(name, _note(name, declared), _sheet(declared)))
    return found


def _note(name: str, declared: Declaration) -> str:
    return (
        f"{declared.about} They are the authors' numbers, not measured here, and are ranked with nothing: papers "
        "differ in much that they do not print (column Not printed). "
        f"guidance-bench run benchmark={name} row=NAME repeats one."
    ).strip()


def _sheet(declared: Declaration) -> Sheet:
    rows = declared.rows

    def words(title: str, texts: Iterable[str]) -> Field:
        return Field(title, [Cell(text, text) for text in texts], numeric=False)

    return [
        words("Method", (row.method for row in rows.values())),
        words("Status", (MARK for _ in rows)),
        words("Setting", (_setting(row) for row in rows.values())),
        words("Backbone", (declared.backbones[row.backbone].title for row in rows.values())),
        words("Labels", (row.labels for row in rows.values())),
        *(_numbers(metric, declared) for metric in NUMBERS),
        words("Not printed", (", ".join(row.not_printed) or "-" for row in rows.values())),
        words("Source", (f"{row.source}; {row.version}" for row in rows.values())),
        words("Row", rows),
    ]


def _setting(row: PublishedRow) -> str:
    return ", ".join(f"{name}={plain(value)}" for name, value in row.parameters.items())


def _numbers(metric: str, declared: Declaration) -> Field:
    """As printed, in no bold: best of what differs in more than the method means nothing."""
    column = column_of(metric, "inception")
    places = 1 if metric == "inception_score" else 2
    values: list[Any] = [row.numbers.get(metric) for row in declared.rows.values()]
    cells = [Cell("-", "") if value is None else Cell(f"{value:.{places}f}", float(value)) for value in values]
    return Field(column.title, cells, arrow=column.arrow)
