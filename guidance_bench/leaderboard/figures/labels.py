"""Names beside the points of a scatter, moved until few lie on others (adjustText); one that still does stays out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ..setting_texts import short
from .style import look_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from matplotlib.text import Text

#: Pixels between a point and its name from which on a line joins them.
AWAY = 12


def label_points(figure: Canvas, rows: pd.DataFrame, x: str, y: str, above: float = math.inf) -> None:
    """Write each row's method beside its point, in its colour; what lies above the axis stays at the edge.

    In a crowd that leaves no room a name stays out for the sake of one of a row before it.

    Fixes the figure's layout: names are placed in pixels.
    """
    from adjustText import adjust_text
    from matplotlib.patheffects import withStroke

    axes = figure.axes[0]
    outline = [withStroke(linewidth=1.8, foreground="white")]
    figure.draw_without_rendering()
    figure.set_layout_engine(None)
    inside = rows[rows[y] <= above].dropna(subset=[x, y])
    texts = [
        axes.text(row[x], row[y], short(name), fontsize=7.5, color=look_of(name).colour, path_effects=outline, zorder=6)
        for name, (_, row) in zip(inside["method"].astype(str), inside.iterrows(), strict=True)
    ]
    with _steady():
        adjust_text(
            texts,
            x=inside[x].to_numpy(),
            y=inside[y].to_numpy(),
            ax=axes,
            expand=(1.15, 1.35),
            force_text=(0.25, 0.45),
            max_move=(6, 6),
            iter_lim=100,  # 400 take four times as long and leave no more names
        )
    for text, (_, row) in zip(_with_room(figure, texts), inside.iterrows(), strict=True):
        if text is not None:
            _join(axes, text, (row[x], row[y]))
    edge = axes.get_xaxis_transform()
    for place, (_, row) in enumerate(rows[rows[y] > above].iterrows()):
        name = str(row["method"])
        axes.text(row[x], 0.98 - 0.04 * place, f"{short(name)} ", transform=edge, fontsize=7.5, ha="right", va="top",
                  color=look_of(name).colour)  # fmt: skip


def _with_room(figure: Canvas, texts: list[Text]) -> list[Text | None]:
    """The texts, None for those that were taken away because they lie on one before them."""
    frame = figure.axes[0].get_window_extent()
    taken: list[Any] = []
    kept: list[Text | None] = []
    for text in texts:
        box = text.get_window_extent().padded(-1)
        inside = frame.x0 <= box.x0 and box.x1 <= figure.bbox.x1
        if not inside or any(box.overlaps(other) for other in taken):
            text.remove()
            kept.append(None)
            continue
        taken.append(box)
        kept.append(text)
    return kept


def _join(axes: Axes, text: Text, point: tuple[float, float]) -> None:
    """A thin line from a point to its name, where the name was moved away."""
    arrow = {"arrowstyle": "-", "color": "#8a8a8a", "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3}
    box = text.get_window_extent()
    x, y = axes.transData.transform(point)
    near = (min(max(x, box.x0), box.x1), min(max(y, box.y0), box.y1))
    if math.dist((x, y), near) > AWAY:
        across, up = axes.transData.inverted().transform(near)
        axes.annotate("", xy=point, xytext=(across, up), arrowprops=arrow, zorder=4)


@contextmanager
def _steady() -> Iterator[None]:
    """The same draws of numpy's global generator each time, and nothing of it left behind."""
    state = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(state)
