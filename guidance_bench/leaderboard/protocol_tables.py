"""The runs of each protocol as a table of their own; rows of different protocols never meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..core.errors import UserError
from .aggregate import aggregate, best, distinct_runs, metrics_of
from .captions import caption, distinctions, note
from .comparison.reproductions import reproduction_note, reproductions
from .comparison.strengths import Trajectory
from .metric_columns import Column, column_of, metric_columns
from .registered.look_up import registered

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Table:
    """All runs of one protocol.

    Attributes:
        protocol: its hash.
        title: benchmark and version, and what tells this table from the others of the same benchmark.
        primary: the metric that ranks the methods.
        caption: states the protocol.
        note: says how the best settings were chosen.
        runs: one row a run, each run once.
        settings: one row a setting (:func:`guidance_bench.leaderboard.aggregate.aggregate`).
        best: one row a method (:func:`guidance_bench.leaderboard.aggregate.best`).
        again: the records of runs that were made more than once.
        strengths: w_e and update of runs, where they were measured.
    """

    protocol: str
    title: str
    primary: Column
    caption: str
    note: str
    runs: pd.DataFrame
    settings: pd.DataFrame
    best: pd.DataFrame
    again: pd.DataFrame
    strengths: Mapping[str, Trajectory] = field(default_factory=dict)

    @property
    def benchmark(self) -> str:
        """Name and version."""
        return _benchmark(self.settings)

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
    apart = distinctions(frame)
    return {str(key[-1]): _table(str(key[-1]), apart[str(key[-1])], rows, primary, metrics) for key, rows in groups}


def _table(protocol: str, apart: str, frame: pd.DataFrame, primary: str | None, metrics: Sequence[str] | None) -> Table:
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
    title = ", ".join(part for part in (_benchmark(settings), apart) if part)
    return Table(protocol, title, column, caption(settings, title), words, runs, settings, chosen, again)


def _benchmark(settings: pd.DataFrame) -> str:
    first = settings.iloc[0]
    return f"{first['benchmark']} v{first['version']}"


def _default_primary(benchmark: str, metrics: Sequence[str]) -> str:
    """The metric by which a benchmark is tuned; the first one where the benchmark is not known here."""
    known = registered().benchmarks.get(benchmark)
    if known is None:
        return metrics[0]
    name = f"{known.primary}_{known.space}" if known.space else known.primary
    return name if name in metrics else metrics[0]
