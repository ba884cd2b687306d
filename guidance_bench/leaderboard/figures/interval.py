"""The ranking metric over both ends of a method's guidance interval, as a heat map with its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.identity import canonical
from ..metric_columns import format_means
from ..setting_texts import plain, short
from .style import INK, canvas, head

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from ..metric_columns import Column
    from ..protocol_tables import Table

PANELS = 3  # a row


def interval_figure(table: Table) -> Canvas | None:
    """A panel for each method and interval of which the runs try several values of both ends; None where none does.

    Of what else varies (the scale) a panel shows the settings of the best one: everything beside the interval is equal
    in a panel.
    """
    panels = list(_panels(table))
    if not panels:
        return None
    columns = min(PANELS, len(panels))
    lines = -(-len(panels) // columns)
    widest = max(grid.shape[1] for *_, grid in panels)
    tallest = max(grid.shape[0] for *_, grid in panels)
    figure = canvas(max(0.52 * widest + 1.1, 2.6) * columns + 0.6, (0.34 * tallest + 1.3) * lines + 0.5)
    places = figure.subplots(lines, columns, squeeze=False).flat
    for axes, panel in zip(places, panels, strict=False):
        _panel(figure, axes, table.primary, *panel)
    for axes in list(places)[len(panels) :]:
        axes.remove()
    head(figure, table, f"{table.primary.heading}; frame: best")
    return figure


def _panels(table: Table) -> Any:
    """Method with what is fixed, names of both ends, their values, and the metric (high, low), NaN where not run."""
    for method, rows in table.settings.groupby("method", sort=False):
        for low in [name for name in rows["parameters"].iloc[0] if name == "low" or name.endswith("_low")]:
            high = f"{low[:-3]}high"
            if high in rows["parameters"].iloc[0]:
                yield from _panel_of(str(method), rows, low, high, table.primary)


def _panel_of(method: str, rows: pd.DataFrame, low: str, high: str, column: Column) -> Any:
    rest = [canonical({k: v for k, v in p.items() if k not in (low, high)}) for p in rows["parameters"]]
    grids = [group for _, group in rows.assign(_rest=rest).groupby("_rest") if _is_swept(group, low, high)]
    if not grids:
        return
    group = min(grids, key=lambda g: (-len(g), min(map(column.loss, g[column.name]))))
    lows, highs = (sorted({p[name] for p in group["parameters"]}) for name in (low, high))
    grid = np.full((len(highs), len(lows)), np.nan)
    for p, value in zip(group["parameters"], group[column.name], strict=True):
        grid[highs.index(p[high]), lows.index(p[low])] = value
    fixed = [f"{k}={plain(v)}" for k, v in group["parameters"].iloc[0].items() if k.endswith("scale")]
    yield " ".join([short(method), *fixed]), (low, high), (lows, highs), grid


def _is_swept(group: pd.DataFrame, low: str, high: str) -> bool:
    return all(len({p[name] for p in group["parameters"]}) > 1 for name in (low, high))


def _panel(
    figure: Canvas,
    axes: Axes,
    column: Column,
    title: str,
    names: tuple[str, str],
    values: tuple[list[float], list[float]],
    grid: Any,
) -> None:
    from matplotlib.patches import Rectangle

    lows, highs = values
    colours = "cividis_r" if column.direction == "lower" else "cividis"
    image = axes.imshow(grid, origin="lower", aspect="auto", cmap=colours)
    known = [(i, j) for i in range(len(highs)) for j in range(len(lows)) if np.isfinite(grid[i, j])]
    texts = format_means([float(grid[place]) for place in known])
    best = min(known, key=lambda place: column.loss(float(grid[place])))
    for (i, j), text in zip(known, texts, strict=True):
        red, green, blue, _ = image.cmap(image.norm(grid[i, j]))
        ink = INK if 0.299 * red + 0.587 * green + 0.114 * blue > 0.55 else "white"
        bold = "bold" if (i, j) == best else "normal"
        axes.text(j, i, text, ha="center", va="center", fontsize=7.5, color=ink, fontweight=bold)
    corner = (best[1] - 0.5, best[0] - 0.5)
    axes.add_patch(Rectangle(corner, 1, 1, zorder=4, edgecolor=INK, facecolor="none", linewidth=2.2))
    axes.set_xticks(range(len(lows)), [plain(float(v)) for v in lows])
    axes.set_yticks(range(len(highs)), [plain(float(v)) for v in highs])
    axes.tick_params(length=0)
    axes.set(xlabel=f"{names[0]} (t)", ylabel=f"{names[1]} (t)")
    axes.set_title(title, loc="left", fontsize=9)
