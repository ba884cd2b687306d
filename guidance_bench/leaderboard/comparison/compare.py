"""Two sets of runs, metric by metric, paired by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...core.errors import UserError
from ...experiments.records import to_frame
from ..metric_columns import Column
from ..protocol_tables import tables
from ..sheets import Cell, Field, Sheet
from .paired import LEVEL, Difference, paired
from .seeds import all_by_seed, by_seed, choice_by_seed

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Comparison:
    """A against B under one protocol.

    Attributes:
        title: benchmark and protocol.
        words: what each side is.
        columns: the metrics, the ranking one first.
        values: of each metric, the two sides' values by seed.
    """

    title: str
    words: tuple[str, str]
    columns: list[Column]
    values: list[tuple[dict[int, float], dict[int, float]]]

    @property
    def differences(self) -> list[Difference]:
        """A - B of each metric."""
        return [paired(a, b) for a, b in self.values]

    @property
    def verdict(self) -> str:
        """One sentence on the ranking metric."""
        column, found = self.columns[0], self.differences[0]
        if found.pairs < 2:
            return f"{found.pairs} shared seed: nothing can be told; run both with more seeds (seeds=0,1,2)"
        if not found.p < LEVEL or not column.direction:
            return f"not told apart by {column.label} (paired t over {found.pairs} seeds, p = {found.p:.2g})"
        better = "A" if column.loss(found.mean) < 0 else "B"
        return f"{better} is better by {column.label} (paired t over {found.pairs} seeds, p = {found.p:.2g})"

    def sheet(self) -> Sheet:
        """One row a metric."""
        rows = list(zip(self.values, self.differences, strict=True))
        shared = [[(a[s], b[s]) for s in sorted(set(a) & set(b))] for (a, b), _ in rows]

        def field(title: str, texts: Sequence[str]) -> Field:
            return Field(title, [Cell(text, text) for text in texts])

        def mean(side: int) -> list[str]:
            return [f"{sum(pair[side] for pair in pairs) / len(pairs):.4g}" if pairs else "-" for pairs in shared]

        names = Field("Metric", [Cell(f"{c.title} {c.arrow}".strip()) for c in self.columns], numeric=False)
        return [
            names,
            field("A", mean(0)),
            field("B", mean(1)),
            field("A - B", [f"{d.mean:+.3g}" if d.pairs else "-" for _, d in rows]),
            field("95 %", [f"{d.low:+.3g} to {d.high:+.3g}" if d.pairs > 1 else "-" for _, d in rows]),
            field("p", [f"{d.p:.2g}" if d.pairs > 1 else "-" for _, d in rows]),
            field("p (sign flips)", [f"{d.p_flip:.2g}" if d.pairs > 1 else "-" for _, d in rows]),
            field("Seeds", [str(d.pairs) for _, d in rows]),
        ]


def compare(a: Sequence[Mapping[str, Any]], b: Sequence[Mapping[str, Any]]) -> list[Comparison]:
    """Compare two sets of records, for each protocol that both have.

    A side with several settings is scored as one that tunes: each seed at the setting that is best by the benchmark's
    own metric on the other seeds.

    Raises:
        UserError: no protocol is common to both, or a side has several settings and too few seeds to choose by.
    """
    frame = to_frame([*a, *b])
    first, second = ({r["run_id"] for r in side} for side in (a, b))
    found = []
    for table in tables(frame).values():
        if table.runs["run_id"].isin(first).any() and table.runs["run_id"].isin(second).any():
            sides = [_side(table, ids) for ids in (first, second)]
            columns = [c for c in table.metrics if all(c.name in values for _, values in sides)]
            pairs = [(sides[0][1][c.name], sides[1][1][c.name]) for c in columns]
            title = f"{table.title}, protocol {table.protocol}"
            found.append(Comparison(title, (sides[0][0], sides[1][0]), columns, pairs))
    if not found:
        raise UserError("the two sets of runs share no protocol: samples, solver, networks and evaluator must be equal")
    return found


def _side(table: Any, ids: set[str]) -> tuple[str, dict[str, dict[int, float]]]:
    settings: pd.DataFrame = table.settings[[any(run in ids for run in runs) for runs in table.settings["run_ids"]]]
    methods = sorted(set(settings["method"]))
    name = methods[0] if len(methods) == 1 else f"{len(methods)} methods"
    if len(settings) == 1:
        row = settings.iloc[0]
        return f"{name} {row['setting']}".strip(), {c.name: by_seed(row, c.name) for c in table.metrics}
    chosen = choice_by_seed(settings, table.primary)
    if not chosen:
        raise UserError(
            f"{name} has {len(settings)} settings and too few seeds to choose among them: give the runs of one, "
            f"such as {','.join(settings.iloc[0]['run_ids'])}"
        )
    values = {c.name: _picked(settings, chosen, c.name) for c in table.metrics}
    return f"{name}, best of {len(settings)} settings on the other seeds", values


def _picked(settings: pd.DataFrame, chosen: Mapping[int, int], metric: str) -> dict[int, float]:
    own = all_by_seed(settings, metric)
    return {seed: own[place][seed] for seed, place in chosen.items() if seed in own[place]}
