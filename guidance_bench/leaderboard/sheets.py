"""Tables ready for print: what each cell says and which are best. How they look is the writers' business."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .metric_columns import Column, format_means
from .setting_texts import short

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Cell:
    """One cell: its text, what it sorts by, whether it is the best of its column, the runs behind it (id, label)."""

    text: str
    key: float | str = ""
    bold: bool = False
    runs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Field:
    """A column.

    Attributes:
        title: short heading.
        cells: one a row.
        space: readable feature space of a metric; "" for anything else.
        arrow: which way is better.
        numeric: set flush right.
    """

    title: str
    cells: list[Cell]
    space: str = ""
    arrow: str = ""
    numeric: bool = True

    @property
    def heading(self) -> str:
        """Title, feature space and direction: ``FD (digits CNN) ↓``."""
        space = f"({self.space})" if self.space else ""
        return " ".join(part for part in (self.title, space, self.arrow) if part)

    @property
    def short_heading(self) -> str:
        """Title and direction, for a table that names the feature space above its headings."""
        return f"{self.title} {self.arrow}".strip()


#: Headings where room is scarce.
SHORT = {"Precision": "Prec", "Recall": "Rec", "Label accuracy": "Acc"}

#: Heading of the measured speed.
SPEED = "Images/s"

#: A table: columns of equal length.
Sheet = list[Field]


def best_sheet(best: pd.DataFrame, metrics: Sequence[Column]) -> Sheet:
    """One row a method; ``metrics`` begins with the one that ranks them."""
    primary, *others = metrics
    rest = [
        *(metric_field(best, column) for column in others),
        gain_field(best, primary),
        *held_out_field(best, primary),
        *ties_field(best),
        *over_cfg_fields(best),
        nfe_field(best),
        speed_field(best),
        *budget_fields(best),
        *_seeds(best),
    ]
    return [*_names(best), metric_field(best, primary), *_filled(rest)]


def _filled(sheet: Sheet) -> Sheet:
    """Without the columns that have nothing in any row."""
    return [field for field in sheet if any(cell.text != "-" for cell in field.cells)]


def settings_sheet(settings: pd.DataFrame, metrics: Sequence[Column]) -> Sheet:
    """One row a setting, with the runs behind it."""
    return [
        *_names(settings),
        *(metric_field(settings, column) for column in metrics),
        nfe_field(settings),
        speed_field(settings),
        *_seeds(settings),
        runs_field(settings),
    ]


def compact_sheet(rows: pd.DataFrame, metrics: Sequence[Column]) -> Sheet:
    """A narrow table: few blanks, short headings, no speed, and a spread for the ranking metric alone."""
    primary, *others = metrics
    gain = _filled([replace(gain_field(rows, primary, places=0), title="gain")] if "gain" in rows else [])
    fields = [metric_field(rows, column, spread=False) for column in others]
    methods, settings = _names(rows)
    methods = replace(methods, cells=[replace(cell, text=short(cell.text)) for cell in methods.cells])
    first = _lettered(rows, metric_field(rows, primary))
    sheet = [methods, settings, first, *gain, *fields, nfe_field(rows), *_seeds(rows)]
    return [_narrow(field) for field in sheet]


def paper_sheet(best: pd.DataFrame, metrics: Sequence[Column]) -> Sheet:
    """What a paper's table has room for: method, setting, the ranking metric, precision, recall, NFE."""
    primary, *others = metrics
    known = {column.base: column for column in others}
    fields = [metric_field(best, known[name], spread=False) for name in ("precision", "recall") if name in known]
    sheet = [*_names(best), metric_field(best, primary), *fields, nfe_field(best)]
    return [replace(field, title=SHORT.get(field.title, field.title)) for field in sheet]


def _narrow(field: Field) -> Field:
    texts = [cell.text.replace(" ± ", "±").replace(", ", " ").replace(" %", "%") for cell in field.cells]
    cells = [replace(cell, text=text) for cell, text in zip(field.cells, texts, strict=True)]
    return replace(field, title=SHORT.get(field.title, field.title), cells=cells)


def _names(rows: pd.DataFrame) -> Sheet:
    methods = Field("Method", [Cell(name, name) for name in rows["method"]], numeric=False)
    return [methods, Field("Setting", [Cell(text, text) for text in rows["setting"]], numeric=False)]


def metric_field(rows: pd.DataFrame, column: Column, spread: bool = True) -> Field:
    """A metric: ``mean ± sd``, in bold where the printed mean is as good as the best."""
    means: list[float] = rows[column.name].tolist()
    texts = format_means(means, rows[f"{column.name}.sd"].tolist() if spread else ())
    printed = format_means(means)
    known = [v for v in means if math.isfinite(v)]
    top = printed[means.index(min(known, key=column.loss))] if known and column.direction else None
    cells = [Cell(text, mean, mark == top) for text, mean, mark in zip(texts, means, printed, strict=True)]
    return Field(column.title, cells, column.space, column.arrow)


def gain_field(best: pd.DataFrame, column: Column, places: int = 1) -> Field:
    """Improvement over ``none`` in percent; a positive number is an improvement whatever the metric."""
    gains: list[float] = best["gain"].tolist()
    return Field(f"{column.title} gain", [Cell(f"{g:+.{places}f} %" if math.isfinite(g) else "-", g) for g in gains])


def held_out_field(best: pd.DataFrame, column: Column) -> Sheet:
    """The ranking metric with each seed's setting chosen on the other seeds; nothing where no method has two seeds."""
    means: list[float] = best["held_out"].tolist()
    if not any(map(math.isfinite, means)):
        return []
    texts = format_means(means, best["held_out_sd"].tolist())
    return [Field(f"{column.title} held out", [Cell(t, m) for t, m in zip(texts, means, strict=True)])]


def _lettered(rows: pd.DataFrame, field: Field) -> Field:
    """The ranking metric with the letters behind its numbers."""
    marks = [f" {letters}" if letters else "" for letters in rows.get("ties", [""] * len(rows))]
    return replace(field, cells=[replace(c, text=c.text + mark) for c, mark in zip(field.cells, marks, strict=True)])


def ties_field(rows: pd.DataFrame) -> Sheet:
    """Letters of methods that cannot be told apart; nothing where too few seeds are shared."""
    if "ties" not in rows or not any(rows["ties"]):
        return []
    return [Field("Ties", [Cell(text or "-", text) for text in rows["ties"]], numeric=False)]


def nfe_field(rows: pd.DataFrame) -> Field:
    """Evaluations of the main network a sample."""
    return Field("NFE", [Cell(f"{n:.0f}" if n == round(n) else f"{n:.1f}", n) for n in rows["cost.nfe"].tolist()])


def speed_field(rows: pd.DataFrame) -> Field:
    """Images a second, as measured."""
    speeds: list[float] = rows["cost.images_per_second"].tolist()
    return Field(SPEED, [Cell(f"{s:.0f}" if s >= 10 else f"{s:.2g}", s) for s in speeds])


def count_field(title: str, counts: Sequence[int]) -> Field:
    """Whole numbers."""
    return Field(title, [Cell(str(count), count) for count in counts])


def runs_field(rows: pd.DataFrame) -> Field:
    """Ids of the runs behind each row."""
    return _links("Runs", rows["run_ids"].tolist(), rows["run_ids"].tolist())


def seeds_field(rows: pd.DataFrame) -> Field:
    """The seed of each run behind a row, for a page that links it to the run."""
    return _links("Runs by seed", rows["run_ids"].tolist(), rows["seeds"].tolist())


def _links(title: str, ids: Sequence[Sequence[str]], labels: Sequence[Sequence[object]]) -> Field:
    pairs = [tuple(zip(runs, map(str, names), strict=True)) for runs, names in zip(ids, labels, strict=True)]
    cells = [Cell(" ".join(label for _, label in pair), pair[0][1], runs=pair) for pair in pairs]
    return Field(title, cells, numeric=False)


def over_cfg_fields(best: pd.DataFrame) -> Sheet:
    """Strength in units of CFG, and the gain over CFG of equal strength with its tie mark; where they were measured."""
    if "over_cfg" not in best:
        return []
    strengths = [Cell(f"{w:.2f}" if math.isfinite(w) else "-", w) for w in best["strength"].tolist()]
    gains = zip(best["over_cfg"].tolist(), best["over_cfg_tie"].tolist(), strict=True)
    cells = [Cell(f"{g:+.1f} %{' =' if tie else ''}" if math.isfinite(g) else "-", g) for g, tie in gains]
    return [Field("w_e", strengths), Field("Over CFG", cells)]


def budget_fields(best: pd.DataFrame) -> Sheet:
    """Settings tried, and the samples that were spent on them where that was counted."""
    if "tuned" not in best:
        return [count_field("Settings", best["settings"].tolist())]
    spent = [Cell(f"{n:,}" if n else "-", n) for n in best["tuned"].tolist()]
    return [count_field("Settings", best["tried"].tolist()), Field("Tuning samples", spent)]


def _seeds(rows: pd.DataFrame) -> Sheet:
    """The number of seeds, where it is not the same in every row."""
    return [count_field("Seeds", rows["n"].tolist())] if rows["n"].nunique() > 1 else []
