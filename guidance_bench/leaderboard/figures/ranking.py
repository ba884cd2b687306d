"""Every method's best value of the ranking metric on one axis, for line-ups too large for a panel each to tell much."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..metric_columns import format_means
from ..setting_texts import short
from .style import INK, NEUTRAL, Look, arrow, canvas, head, looks

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from ..protocol_tables import Table

ROW = 0.21  # inches


def ranking_figure(table: Table) -> Canvas:
    """A row a method, the best on top: mean, spread, each seed, the held-out mean, and what it costs."""
    rows = table.best.reset_index(drop=True)
    figure = canvas(6.4, ROW * len(rows) + 1.1)
    axes = figure.subplots()
    left, right = _limits(table)
    styles = looks(rows["method"])
    for place, row in rows.iterrows():
        _row(axes, table, row, place, styles[row["method"]], right)
    for value in table.settings.loc[table.settings["method"] == "none", table.primary.name]:
        axes.axvline(value, color=NEUTRAL, linestyle="--", linewidth=1, zorder=1)
    axes.set_yticks(range(len(rows)), [short(method) for method in rows["method"]])
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlim=(left, right), xlabel=table.primary.heading)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    _beside(axes, rows)
    _legend(figure, table)
    head(figure, table, "methods that share a letter are tied" if any(rows["ties"]) else "")
    return figure


def _row(axes: Axes, table: Table, row: pd.Series[Any], place: Any, look: Look, right: float) -> None:
    metric = table.primary.name
    mean, spread = row[metric], row[f"{metric}.sd"]
    if mean > right:
        axes.plot(0.985, place, transform=axes.get_yaxis_transform(), **_sideways(look.colour))
        text = f"{format_means([mean])[0]} "
        axes.text(0.96, place, text, transform=axes.get_yaxis_transform(), ha="right", va="center", fontsize=8)
        return
    if math.isfinite(spread):
        axes.plot([mean - spread, mean + spread], [place, place], color=look.colour, linewidth=2, alpha=0.35, zorder=2)
    values = row[f"{metric}.values"]
    axes.scatter(values, [place] * len(values), s=7, color=look.colour, alpha=0.6, linewidths=0, zorder=3)
    axes.scatter(mean, place, s=46, color=look.colour, marker=look.marker, linewidths=0, zorder=4)
    if math.isfinite(row["held_out"]):
        axes.scatter(row["held_out"], place, s=110, facecolors="none", edgecolors=INK, linewidths=0.9, zorder=3)


def _limits(table: Table) -> tuple[float, float]:
    """From the best value to as far beyond ``none``, so that what is far worse does not press the rest together."""
    metric, best = table.primary.name, table.best
    low = min(min(values) for values in best[f"{metric}.values"])
    high = max(best[metric].max(), best["held_out"].max())
    none = best.loc[best["method"] == "none", metric].tolist()
    if none and table.primary.direction == "lower":
        high = min(high, 2 * none[0] - best[metric].min())
    room = 0.06 * (high - low or 1)
    return low - room, high + room


def _sideways(colour: str) -> dict[str, Any]:
    from matplotlib.transforms import Affine2D

    look = arrow(colour)
    return {**look, "marker": look["marker"].transformed(Affine2D().rotate_deg(-90))}


def _beside(axes: Axes, rows: pd.DataFrame) -> None:
    """Evaluations a sample, and letters of ties, in columns beside the axes."""
    across = axes.get_yaxis_transform()
    columns = {"NFE": [f"{cost:.3g}" for cost in rows["cost.nfe"]], "Ties": rows["ties"].tolist()}
    for at, (title, texts) in zip((1.02, 1.12), columns.items(), strict=True):
        if any(texts):
            axes.text(at, 1.0, title, transform=axes.transAxes, fontsize=8, va="bottom")
        for place, text in enumerate(texts):
            axes.text(at, place, text, transform=across, va="center", fontsize=8)


def _legend(figure: Canvas, table: Table) -> None:
    from matplotlib.lines import Line2D

    grey: dict[str, Any] = {"linestyle": "", "color": NEUTRAL, "marker": "o"}
    entries = [(Line2D([], [], **grey, markersize=7), "mean of the best setting")]
    if table.best["n"].max() > 1:
        entries.append((Line2D([], [], **grey, markersize=3), "each seed"))
        entries.append((Line2D([], [], color=NEUTRAL, linewidth=2, alpha=0.35), "sd"))
        ring = Line2D([], [], linestyle="", marker="o", markerfacecolor="none", markeredgecolor=INK, markersize=8)
        entries.append((ring, "held out"))
    if (table.best["method"] == "none").any():
        entries.append((Line2D([], [], color=NEUTRAL, linestyle="--"), "none"))
    lines, labels = zip(*entries, strict=True)
    figure.legend(lines, labels, loc="outside lower center", ncols=len(entries), frameon=False, fontsize=8)
