"""Runs that were made more than once: the latest counts, the others are kept and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..metric_columns import Column
from ..sheets import Cell, Field, Sheet, metric_field

if TYPE_CHECKING:
    import pandas as pd


def reproductions(frame: pd.DataFrame) -> pd.DataFrame:
    """The records of every run that has more than one, runs together, the latest record of each first.

    A record that is there twice (equal time and machine) is one.

    Args:
        frame: one row a record (:func:`guidance_bench.experiments.records.to_frame`).
    """
    each = frame.drop_duplicates(["run_id", "time", "device"], keep="last")
    again = each[each.duplicated("run_id", keep=False)]
    return again.sort_values(["method", "seed", "run_id", "time"], ascending=[True, True, True, False])


def reproduction_note(again: pd.DataFrame, column: Column) -> str:
    """How far records of one run lie apart; "" where there is one of each."""
    if again.empty:
        return ""
    groups = again.groupby("run_id")[column.name]
    spread = groups.max() - groups.min()
    devices = again["device"].nunique()
    where = f"on {devices} machines" if devices > 1 else "on one machine"
    return (
        f"Made more than once, {where}: {len(spread)} run{'s' if len(spread) > 1 else ''}; the latest record counts. "
        f"{column.title} of a run differs by at most {spread.max():.3g} between its records."
    )


def reproduction_sheet(again: pd.DataFrame, metrics: list[Column]) -> Sheet:
    """One row a record."""

    def words(title: str, column: str) -> Field:
        return Field(title, [Cell(str(value), str(value)) for value in again[column]], numeric=False)

    values = again.assign(**{f"{c.name}.sd": float("nan") for c in metrics})
    fields = [metric_field(values, column) for column in metrics]
    plain = [Field(f.title, [Cell(c.text, c.key) for c in f.cells], f.space, f.arrow) for f in fields]
    return [
        words("Run", "run_id"),
        words("Method", "method"),
        words("Seed", "seed"),
        *plain,
        words("Machine", "device"),
        words("Time", "time"),
    ]
