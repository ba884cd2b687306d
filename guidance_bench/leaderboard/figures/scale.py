"""The ranking metric against each method's swept parameter."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.identity import canonical, once
from ..metric_columns import format_means
from ..setting_texts import plain, short, swept_parameter
from .style import INK, NEUTRAL, RING, Look, arrow, canvas, ceiling, head, looks, mark_hidden, scale_axis

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from ..protocol_tables import Table

PANELS = 4  # a row
LINES = ("-", "--", ":", "-.")


def scale_figure(table: Table) -> Canvas | None:
    """A panel for each method that has a parameter, in the order of the table; None where none has.

    Methods that are swept over an end of their interval have the figure of intervals.

    Each panel has an axis of its own, or small effects could not be read beside large ones; the line of ``none`` is in
    each of them.
    """
    groups = dict(list(table.settings.groupby("method", sort=False)))
    order = [str(method) for method in table.best["method"]]
    swept = {method: swept_parameter(groups[method]["parameters"].tolist()) for method in order}
    methods = {method: name for method, name in swept.items() if name and not name.endswith(("low", "high"))}
    if not methods:
        return None
    columns = min(PANELS, len(methods))
    lines = math.ceil(len(methods) / columns)
    figure = canvas(max(2.1 * columns, 4.9) + 0.5, 2.3 * lines + 0.6)
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat[len(methods) :]:
        axes.remove()
    styles = looks(swept)
    for axes, (method, parameter) in zip(grid.flat, methods.items(), strict=False):
        _panel(axes, table, method, parameter, styles[method])
    for row in grid:
        row[0].set_ylabel(table.primary.heading)
    _legend(figure, table)
    words = ["each panel has its own axis"] if len(methods) > 1 else []
    head(figure, table, "; ".join([*words, *(["a letter shared: tied"] if any(table.best["ties"]) else [])]))
    return figure


def _panel(axes: Axes, table: Table, method: str, parameter: str, look: Look) -> None:
    metric = table.primary.name
    needed = ["parameters", metric]  # rows are copied, and there is a column for each parameter of each method
    every = table.runs.loc[table.runs["method"] == method, needed]
    scale_axis(axes, [*every[metric], *_neutral(table)], ceiling(table))
    own = table.settings.loc[table.settings["method"] == method, needed]
    for number, (label, runs) in enumerate(_apart(every, parameter)):
        x = [p[parameter] for p in runs["parameters"]]
        _curve(axes, x, runs[metric].tolist(), look, linestyle=LINES[number % 4], label=label or None)
    for value in _neutral(table):
        axes.axhline(value, color=NEUTRAL, linestyle="--", linewidth=1.2, zorder=1)
    settings = [p[parameter] for p in own["parameters"]]
    mark_hidden(axes, settings, own[metric].tolist(), ceiling(table), look.colour)
    best = table.best[table.best["method"] == method].iloc[0]
    chosen = best["parameters"][parameter]
    axes.scatter(chosen, best[metric], s=RING, facecolors="none", edgecolors=INK, linewidths=0.9, zorder=2)
    axes.set_title(short(method), loc="left", pad=15, color=look.colour, y=1.0)  # given, it is not looked for
    ties = f" ({best['ties']})" if best["ties"] else ""
    words = f"best {format_means([best[metric]])[0]} at {plain(chosen)}{ties}"
    axes.text(0, 1.03, words, transform=axes.transAxes, fontsize=8)
    axes.set(xlabel=parameter, ylabel="")
    axes.margins(x=0.12)
    axes.grid(axis="y")
    _ticks(axes, sorted(set(settings)))
    if axes.get_legend():
        axes.legend(fontsize=7, frameon=False)


def _apart(runs: pd.DataFrame, parameter: str) -> list[tuple[str, pd.DataFrame]]:
    """A method's runs, one group for each setting of everything but the swept parameter, named by what differs.

    What is swept along with it belongs to it.
    """
    linked = {parameter, *_linked(runs["parameters"].tolist(), parameter)}
    others = [{k: v for k, v in p.items() if k not in linked} for p in runs["parameters"]]
    text = once(canonical)
    differ = [k for k in others[0] if len({text(o.get(k)) for o in others}) > 1]
    names = [", ".join(f"{k}={plain(o.get(k))}" for k in differ) for o in others]
    return [(str(name), rows) for name, rows in runs.groupby(np.array(names, dtype=object), sort=True)]


def _linked(settings: list[dict[str, Any]], parameter: str) -> list[str]:
    """The numbers that rise strictly with the swept parameter, over three settings or more."""
    points = list({canonical(s): s for s in sorted(settings, key=lambda s: s[parameter])}.values())

    def rises(name: str) -> bool:
        values = [point.get(name) for point in points]
        numbers = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
        return len(numbers) == len(points) and all(a < b for a, b in itertools.pairwise(numbers))

    if len(points) < 3 or not rises(parameter):
        return []
    return [name for name in points[0] if rises(name)]


def _curve(axes: Axes, x: list[float], y: list[float], look: Look, **line: Any) -> None:
    """Mean over seeds as a line, one standard deviation as a band, each seed as a small point."""
    import pandas as pd

    found = pd.Series(y).groupby(x).agg(["mean", "std"])  # at once: seaborn takes seconds for a thousand settings
    white: dict[str, Any] = {"markeredgecolor": "w", "markeredgewidth": 0.75}
    axes.plot(found.index, found["mean"], color=look.colour, marker=look.marker, markersize=6, **white, **line)
    if len(found) < len(x):
        low, high = found["mean"] - found["std"], found["mean"] + found["std"]
        axes.fill_between(found.index, low, high, color=look.colour, alpha=0.2)
        axes.scatter(x, y, s=7, color=look.colour, alpha=0.5, linewidths=0, zorder=3)


def _ticks(axes: Axes, values: list[float]) -> None:
    """The settings themselves where their numbers have room, else a few round numbers."""
    from matplotlib.ticker import MaxNLocator

    room = 0.2 * (values[-1] - values[0])
    if len(values) <= 4 and all(b - a >= room for a, b in itertools.pairwise(values)):
        axes.set_xticks(values, [plain(float(v)) for v in values])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))


def _neutral(table: Table) -> list[float]:
    """The metric without guidance, where it was run."""
    values: list[float] = table.settings.loc[table.settings["method"] == "none", table.primary.name].tolist()
    return values


def _legend(figure: Canvas, table: Table) -> None:
    from matplotlib.lines import Line2D

    ring = Line2D(
        [],
        [],
        linestyle="",
        marker="o",
        markersize=11,
        markeredgewidth=0.9,
        markerfacecolor="none",
        markeredgecolor=INK,
    )
    entries = [(ring, "best setting")]
    if none := _neutral(table):
        entries.append((Line2D([], [], color=NEUTRAL, linestyle="--"), f"none ({format_means(none)[0]})"))
    if table.settings["n"].max() > 1:
        entries.append(
            (Line2D([], [], color=NEUTRAL, marker="o", markersize=3), "mean of seeds; band: sd; dots: each seed")
        )
    if table.settings[table.primary.name].max() > ceiling(table):
        entries.append((Line2D([], [], **arrow(INK)), "above the axis"))
    lines, labels = zip(*entries, strict=True)
    figure.legend(lines, labels, loc="outside lower center", ncols=len(entries), frameon=False, fontsize=8)
