"""The figures of a leaderboard; each is drawn where the runs of a protocol can fill it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..aggregate import pareto
from ..metric_columns import Column, format_means
from ..setting_texts import swept_parameter
from .convergence import convergence_figure, trainings
from .grid_classes import Images, classes_of
from .interval import interval_figure
from .labels import label_points
from .ranking import ranking_figure
from .sample_grids import in_context, sample_grid
from .scale import scale_figure
from .style import (
    INK,
    RING,
    Figure,
    canvas,
    ceiling,
    crowd_ceiling,
    head,
    lettered,
    looks,
    mark_hidden,
    save,
    scale_axis,
    style,
)
from .trajectory import trajectory_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Canvas

    from ..protocol_tables import Table

__all__ = ["cost_figure", "precision_recall_figure", "sample_grid", "scale_figure", "write_convergence"]
__all__ += ["write_figures"]

SIZE = (5.6, 3.5)  # inches
#: More methods than this are shown by their best settings alone, and ranked in a figure of its own.
CROWD = 10


def write_figures(
    table: Table, folder: Path, suffix: str = "", samples: Mapping[str, Images] | None = None
) -> list[Figure]:
    """Write every figure that the runs of one protocol can fill.

    Args:
        table: the runs.
        folder: where to write.
        suffix: behind every file name.
        samples: images (N, H, W, C) uint8 by run_id, in the same order for every run.

    Raises:
        UserError: the folder cannot be written.
    """
    with style():
        drawn = ((name, title, figure) for name, title, figure in _drawings(table) if figure is not None)
        written = [save(figure, folder / f"{name}{suffix}", title) for name, title, figure in drawn]
        return written + _write_grids(table, folder, suffix, samples or {})


def write_convergence(
    found: Sequence[Table], records: Sequence[Mapping[str, Any]], folder: Path
) -> list[tuple[str, Figure]]:
    """Write the metric against training steps where tables differ in these alone; with the protocol trained longest.

    Raises:
        UserError: the folder cannot be written.
    """
    written = []
    for group in trainings(found, {record["run_id"]: record for record in records}):
        last = list(group.values())[-1]
        with style():
            title = f"{last.primary.label} against training steps"
            written.append(
                (last.protocol, save(convergence_figure(group), folder / f"convergence-{last.protocol}", title))
            )
    return written


def _drawings(table: Table) -> Iterator[tuple[str, str, Canvas | None]]:
    if len(table.settings) < 2:
        return
    label = table.primary.label
    scale = ("scale", f"{label} against each method's scale", scale_figure(table))
    yield ("ranking", f"Every method's best {label}", ranking_figure(table)) if crowded(table) else scale
    yield "precision_recall", "Precision against recall", precision_recall_figure(table)
    yield "cost", f"{label} against cost", cost_figure(table)
    if crowded(table) and table.best["settings"].max() > 1:  # a crowd of single points is the ranking
        yield scale
    yield "interval", f"{label} over both ends of the guidance interval", interval_figure(table)
    yield "trajectory", "What each method does: w_e and size of the update over t", trajectory_figure(table)


def crowded(table: Table) -> bool:
    """Whether there are so many methods that only the best setting of each can be told apart."""
    return len(table.best) > CROWD


def _shown(table: Table) -> pd.DataFrame:
    return table.best if crowded(table) else table.settings


def _canvas(table: Table) -> Canvas:
    """As high as the legend needs; a crowd has labels at its points and needs room for them."""
    if crowded(table):
        return canvas(7.4, 5.6)
    return canvas(SIZE[0], max(SIZE[1], 0.22 * len(table.best) + 0.9))


def _finish(figure: Canvas, table: Table, x: str, y: str, title: str) -> Canvas:
    """The head, and the methods' names: at the points of a crowd, else in a legend."""
    head(figure, table, title.replace("\n", ", ") if crowded(table) else "")
    if crowded(table):
        label_points(figure, table.best, x, y, crowd_ceiling(table) if y == table.primary.name else math.inf)
    else:
        _legend(figure, table, title)
    return figure


# -- precision against recall, quality against cost


def precision_recall_figure(table: Table) -> Canvas | None:
    """Every setting's precision against its recall (of a crowd the best); None where they were not computed."""
    precision, recall = table.metric("precision"), table.metric("recall")
    if precision is None or recall is None:
        return None
    figure, shown = _canvas(table), _shown(table)
    axes = figure.subplots()
    for method, look in looks(shown["method"]).items():
        rows = _along_sweep(shown[shown["method"] == method])
        x, y = rows[recall.name], rows[precision.name]
        axes.plot(x, y, color=look.colour, linewidth=1, alpha=0.6, zorder=2)
        axes.scatter(x, y, s=_growing(len(rows), method), color=look.colour, marker=look.marker, zorder=3, linewidths=0)
        axes.errorbar(
            x, y, rows[f"{precision.name}.sd"], rows[f"{recall.name}.sd"], fmt="none", ecolor=look.colour, alpha=0.3
        )
    axes.set(xlabel=recall.heading, ylabel=precision.heading)
    axes.grid()
    bars = "\nbars: sd of seeds" if table.settings["n"].max() > 1 else ""
    if crowded(table):
        return _finish(figure, table, recall.name, precision.name, f"each at its best {table.primary.title}{bars}")
    x, y = table.best[recall.name], table.best[precision.name]
    axes.scatter(x, y, s=RING, facecolors="none", edgecolors=INK, linewidths=0.9, zorder=2)
    title = f"points grow\nwith the scale;\nring: best {table.primary.title}{bars}"
    return _finish(figure, table, recall.name, precision.name, title)


def _along_sweep(rows: pd.DataFrame) -> pd.DataFrame:
    parameter = swept_parameter(rows["parameters"].tolist())
    if parameter is None:
        return rows
    return rows.iloc[np.argsort([p[parameter] for p in rows["parameters"]], kind="stable")]


def _growing(count: int, method: str) -> Any:
    return 110 if method == "none" else np.linspace(18, 60, count) if count > 1 else 40


def cost_figure(table: Table) -> Canvas:
    """The ranking metric against network evaluations a sample, with the front that no setting beats in both."""
    from matplotlib.ticker import MaxNLocator

    cost, metric = "cost.nfe", table.primary.name
    figure, shown = _canvas(table), _shown(table)
    axes = figure.subplots()
    top = crowd_ceiling(table) if crowded(table) else ceiling(table)
    scale_axis(axes, shown[metric].tolist(), top)
    for method, look in looks(shown["method"]).items():
        for rows, size, alpha in ((shown, 26, 0.4), (table.best, 75, 1.0)):
            own = rows[rows["method"] == method]
            x, y = own[cost].tolist(), own[metric].tolist()
            axes.scatter(x, y, s=size, alpha=alpha, color=look.colour, marker=look.marker, linewidths=0, zorder=3)
            mark_hidden(axes, x, y, top, look.colour)
    front = pareto(table.settings, cost, metric)
    axes.margins(x=0.12)
    right = axes.get_xlim()[1]
    costs, values = front[cost].tolist(), front[metric].tolist()
    axes.plot([*costs, right], [*values, values[-1]], drawstyle="steps-post", color=INK, linewidth=1, linestyle=":")
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    axes.set(xlabel="network evaluations a sample (NFE)", ylabel=table.primary.heading, xlim=(None, right))
    axes.grid()
    hidden = "\narrow: above the axis" if shown[metric].max() > top else ""
    marks = "each at its best" if crowded(table) else "large: best setting"
    return _finish(figure, table, cost, metric, f"{marks}\ndotted: Pareto front{hidden}")


def _legend(figure: Canvas, table: Table, title: str) -> None:
    from matplotlib.lines import Line2D

    styles = looks(table.settings["method"])
    order = [str(method) for method in table.best["method"]]
    looks_of = [styles[method] for method in order]
    handles = [Line2D([], [], color=look.colour, marker=look.marker, linestyle="", markersize=7) for look in looks_of]
    names = [lettered(table, method) for method in order]
    title += "\nletter shared: tied" if any(table.best["ties"]) else ""
    legend = figure.legend(handles, names, loc="outside right upper", frameon=False, title=title, title_fontsize=8)
    legend.set_alignment("left")


# -- sample grids


def _write_grids(table: Table, folder: Path, suffix: str, samples: Mapping[str, Images]) -> list[Figure]:
    """A grid for each method's best setting, all of one seed and so of the same noise."""
    stored = {row["method"]: _stored(row, samples) for _, row in table.best.iterrows()}
    stored = {method: seeds for method, seeds in stored.items() if seeds}
    common = set.intersection(*map(set, stored.values())) if stored else set()
    if not common:
        return []
    seed = min(common)
    written = []
    first = table.settings.iloc[0]
    shown = classes_of(first["benchmark"], first["labels"], int(first["samples"]), int(first["block"]), seed)
    plain = samples[stored["none"][seed]] if "none" in stored else None
    for _, row in table.best[table.best["method"].isin(stored)].iterrows():
        stem = folder / f"samples_{_file_name(row['method'])}{suffix}"
        unguided = plain if row["method"] != "none" else None
        images, words = in_context(samples[stored[row["method"]][seed]], shown.real, unguided)
        title = _grid_title(row, table.primary, seed) + (f"\n{words}" if words else "")
        written.append(sample_grid(images, stem, title=title, heads=shown.heads))
    return written


def _stored(row: pd.Series[Any], samples: Mapping[str, Images]) -> dict[int, str]:
    """The runs of a setting that have samples, by seed."""
    return {seed: run for seed, run in zip(row["seeds"], row["run_ids"], strict=True) if run in samples}


def _grid_title(row: pd.Series[Any], metric: Column, seed: int) -> str:
    words = " ".join(part for part in (row["method"], row["setting"]) if part)
    return f"{words}\n{metric.label} {format_means([row[metric.name]])[0]}, samples of seed {seed}"


def _file_name(method: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in method)
