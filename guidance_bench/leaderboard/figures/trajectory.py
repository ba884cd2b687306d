"""What each method does along its trajectories: its strength in units of CFG and the size of its update, over t."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..comparison.strengths import Trajectory, mean_trajectory
from ..setting_texts import short
from .style import NEUTRAL, canvas, head, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from ..protocol_tables import Table

STRENGTH, UPDATE = "strength in units of CFG, w_e", "size of the update, |v - v_null| / |v_null|"
TIME = "t (1: noise, 0: data)"
#: More methods than this are rows of two heat maps instead of lines.
LINES = 10
#: Columns of a heat map.
CELLS = 40


def trajectory_figure(table: Table) -> Canvas | None:
    """The best setting of each method whose strength was measured, mean over its runs; None where none was.

    Lines where they can be told apart, else a row a method in two heat maps that share their rows.
    """
    found = trajectories(table)
    if not found:
        return None
    figure = _lines(found) if len(found) <= LINES else _rows(found)
    head(figure, table, "each method at its best setting")
    return figure


def trajectories(table: Table) -> dict[str, Trajectory]:
    """By method in the table's order."""
    own = {
        str(row["method"]): [table.strengths[run] for run in row["run_ids"] if run in table.strengths]
        for _, row in table.best.iterrows()
    }
    return {method: mean_trajectory(runs) for method, runs in own.items() if runs}


def _lines(found: dict[str, Trajectory]) -> Canvas:
    figure = canvas(8.2, 3.5)
    left, right = figure.subplots(1, 2)
    for place, (method, look) in enumerate(looks(found).items()):
        own = found[method]
        line: dict[str, Any] = {"color": look.colour, "marker": look.marker, "markersize": 5.5, "linewidth": 1.3}
        # marks of different methods stand at different times, so that equal curves show that they are several
        line["markevery"] = (place % 4, 4)
        left.plot(own.times, own.w_e, **line)
        right.plot(own.times, own.update, label=short(method), **line)
    left.axhline(1, color=NEUTRAL, linestyle="--", linewidth=1, zorder=1)
    left.annotate("no guidance", (0.02, 1), xycoords=left.get_yaxis_transform(), xytext=(0, 3),
                  textcoords="offset points", fontsize=7.5, color=NEUTRAL)  # fmt: skip
    left.set(title=STRENGTH, xlabel=TIME)
    right.set(title=UPDATE, xlabel=TIME)
    for axes in (left, right):
        axes.title.set(fontsize=9, fontweight="normal")
        axes.invert_xaxis()
        axes.grid()
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def _rows(found: dict[str, Trajectory]) -> Canvas:
    times = np.linspace(0, 1, CELLS)
    figure = canvas(8.2, 0.19 * len(found) + 1.4)
    figure.set_layout_engine("constrained", w_pad=0.12)  # room for names, which the layout takes for shorter
    left, right = figure.subplots(1, 2, sharey=True)
    strength, update = (
        np.array([np.interp(times, own.times[::-1], values[::-1]) for own, values in pairs])
        for pairs in (
            [(own, own.w_e) for own in found.values()],
            [(own, own.update) for own in found.values()],
        )
    )
    far = float(np.quantile(np.abs(strength - 1), 0.95)) or 0.1  # a few far values do not pale the rest
    _map(figure, left, strength, STRENGTH, cmap="PuOr", vmin=1 - far, vmax=1 + far)
    _map(figure, right, update, UPDATE, cmap="cividis", vmin=0, vmax=float(np.quantile(update, 0.95)) or 0.1)
    left.set_yticks(range(len(found)), [short(method) for method in found], fontsize=7.5)
    return figure


def _map(figure: Canvas, axes: Axes, values: Any, title: str, **colours: Any) -> None:
    step = 1 / (CELLS - 1)
    edges = (-step / 2, 1 + step / 2, len(values) - 0.5, -0.5)
    image = axes.imshow(values, aspect="auto", interpolation="nearest", extent=edges, **colours)
    axes.set(xlabel=TIME, xlim=(1 + step / 2, -step / 2))
    axes.set_title(title, fontsize=8.5, fontweight="normal")
    axes.tick_params(axis="y", length=0)
    figure.colorbar(image, ax=axes, location="bottom", extend="both", fraction=0.03, aspect=40, pad=0.02)
