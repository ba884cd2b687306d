"""The runs of each protocol as a table of their own; rows of different protocols never meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..core.errors import UserError
from ..experiments.benchmark import BENCHMARKS
from .aggregate import aggregate, best, distinct_runs, metrics_of
from .captions import caption, note
from .comparison.reproductions import reproduction_note, reproductions
from .metric_columns import Column, column_of, metric_columns

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Table:
    """All runs of one protocol.

    Attributes:
        protocol: its hash.
        primary: the metric that ranks the methods.
        caption: states the protocol.
        note: says how the best settings were chosen.
        runs: one row a run, each run once.
        settings: one row a setting (:func:`guidance_bench.leaderboard.aggregate.aggregate`).
        best: one row a method (:func:`guidance_bench.leaderboard.aggregate.best`).
        again: the records of runs that were made more than once.
    """

    protocol: str
    primary: Column
    caption: str
    note: str
    runs: pd.DataFrame
    settings: pd.DataFrame
    best: pd.DataFrame
    again: pd.DataFrame

    @property
    def benchmark(self) -> str:
        """Name and version."""
        first = self.settings.iloc[0]
        return f"{first['benchmark']} v{first['version']}"

    @property
    def metrics(self) -> list[Column]:
        """The metrics, the primary one first."""
        return metrics_of(self.settings)

    def metric(self, base: str) -> Column | None:
        """The metric called ``base`` in whichever feature space; None where it was not computed."""
        return next((column for column in self.metrics if column.base == base), None)


def tables(frame: pd.DataFrame, primary: str | None = None, metrics: Sequence[str] | None = None) -> dict[str, Table]:
    """The runs of each protocol on their own, by the protocol's hash, ordered by benchmark.

    Args:
        frame: one row a run (:func:`guidance_bench.experiments.records.to_frame`).
        primary: metric that ranks the methods; None: the benchmark's own.
        metrics: columns to show; None: all.

    Raises:
        UserError: a metric that the runs do not have.
    """
    groups = frame.groupby(["benchmark", "protocol"], sort=True)
    return {str(key[-1]): _table(str(key[-1]), rows, primary, metrics) for key, rows in groups}


def _table(protocol: str, frame: pd.DataFrame, primary: str | None, metrics: Sequence[str] | None) -> Table:
    names = [c.name for c in metric_columns(frame)] if metrics is None else list(metrics)
    if not names:
        raise UserError(f"the records of protocol {protocol} hold no metrics")
    first = primary or _default_primary(str(frame["benchmark"].iloc[0]), names)
    runs = distinct_runs(frame)
    settings = aggregate(runs, [first, *(name for name in names if name != first)])
    chosen = best(settings, first)
    column = column_of(first, str(frame["evaluator"].iloc[0]))
    again = reproductions(frame)
    words = " ".join(part for part in (note(chosen, column), reproduction_note(again, column)) if part)
    return Table(protocol, column, caption(settings), words, runs, settings, chosen, again)


def with_tuning(table: Table, tunings: Sequence[Mapping[str, Any]]) -> Table:
    """The table with a column ``tuned``: the samples that a search spent to find a row's setting; 0 where none did."""
    name = str(table.settings["benchmark"].iloc[0])
    spent, seeds = [], set()
    for _, row in table.best.iterrows():
        found = [t for t in tunings if t["benchmark"] == name and _is_from(row, t)]
        spent.append(max((int(t["spent"]) for t in found), default=0))
        seeds |= {seed for t in found for seed in t["search"]["seeds"]}
    if not any(spent):
        return table
    words = (
        f"Tuned: samples spent by guidance-bench tune to find the setting, on seeds that are not reported "
        f"({', '.join(map(str, sorted(seeds)))})."
    )
    return replace(table, best=table.best.assign(tuned=spent), note=f"{table.note} {words}")


def _is_from(row: Any, tuning: Mapping[str, Any]) -> bool:
    """Whether a row's setting is what a search found."""
    found = tuning["best"]["parameters"]
    return tuning["search"]["method"] == row["method"] and all(row["parameters"].get(k) == v for k, v in found.items())


def _default_primary(benchmark: str, metrics: Sequence[str]) -> str:
    """The metric by which a benchmark is tuned; the first one where the benchmark is not known here."""
    if benchmark in BENCHMARKS.names():
        cls: Any = BENCHMARKS.entry(benchmark).cls
        name = f"{cls.primary}_{cls.space}" if cls.space else str(cls.primary)
        return name if name in metrics else metrics[0]
    return metrics[0]
