"""How every figure looks, and how it is written: equal data give equal files."""

from __future__ import annotations

import math
import textwrap
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...storage.files import atomic
from ..setting_texts import short

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from ..protocol_tables import Table

DPI = 150
#: Points of one kind that are drawn as pixels in vector files, too.
MANY = 500
#: Dark enough on white to be read as text (contrast of 4.5 and more), apart for colour-blind readers with the markers.
COLOURS = ("#00735a", "#0b63ad", "#b84a00", "#9c3f8f", "#855a17", "#00748a", "#b3203a", "#5b5fb0")
MARKERS = ("s", "o", "D", "^", "v", "p")
#: Markers of methods that are not ours.
STRANGERS = ("P", "X", "h", "<", ">", "d")
#: A method's place here is its colour and marker in every figure, for ever: new names go to the end.
PLACES = (
    *("autoguidance", "cfg", "ig", "ig_cfg", "pag", "seg", "slg", "apg", "sag", "tpg", "s2", "sgg", "cfg_schedule"),
    *("cfg_rescale", "cfg_zero", "cfgpp", "rectified_cfgpp", "tcfg", "mambo_g", "fdg", "recfg", "feedback", "adaptive"),
    *("cads", "icg", "tsg", "self_guidance", "sg_prev", "momentum", "higs", "adg", "power_law", "energy_preserving"),
    *("beta_cfg", "cfg_mp", "reg", "swg", "ssg", "erg", "dropout"),
)
NEUTRAL = "#4d4d4d"
INK = "#222222"
#: Size of the ring around a best setting: wide enough to leave the mark itself free.
RING = 190
HIDDEN = "_above the axis"
#: Signs an inch that a figure's head has room for.
SIGNS = 16
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "guidance_bench",
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "text.parse_math": False,  # a method's name may hold a dollar sign
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.edgecolor": "#888888",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e4e4e4",
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


@dataclass(frozen=True)
class Figure:
    """One figure in two files, a plot in three.

    Attributes:
        title: what it shows, for captions and readers without pictures.
        png: 150 dots an inch.
        svg: for the page.
        grid: whether it is a grid of samples.
    """

    title: str
    png: Path
    svg: Path
    grid: bool = False

    @property
    def pdf(self) -> Path | None:
        """For print."""
        return None if self.grid else self.svg.with_suffix(".pdf")

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file."""
        return tuple(path for path in (self.png, self.svg, self.pdf) if path)


@dataclass(frozen=True)
class Look:
    """How a method is drawn in every figure."""

    colour: str
    marker: str


def look_of(method: str) -> Look:
    """A method's colour and marker, by its name alone: the same in every figure, whoever stands beside it."""
    name = method.partition("@")[0]
    if name == "none":
        return Look(NEUTRAL, "*")
    if name in PLACES:
        place, markers = PLACES.index(name), MARKERS
    else:
        place, markers = zlib.crc32(name.encode()) % (len(COLOURS) * len(STRANGERS)), STRANGERS
    return Look(COLOURS[place % len(COLOURS)], markers[(place // len(COLOURS) + place % len(COLOURS)) % len(markers)])


def looks(methods: Iterable[str]) -> dict[str, Look]:
    """:func:`look_of` for each method."""
    return {name: look_of(name) for name in dict.fromkeys(methods)}


def lettered(table: Table, method: str) -> str:
    """A method's name with its letters: methods that share one are tied."""
    letters = dict(zip(table.best["method"], table.best["ties"], strict=True)).get(method, "")
    return f"{short(method)} ({letters})" if letters else short(method)


def head(figure: Canvas, table: Table, more: str = "") -> None:
    """Say above a figure what it is of: benchmark, samples, seeds, protocol."""
    counts = sorted(set(table.settings["n"].tolist()))
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    first = table.settings.iloc[0]
    parts = [table.title, f"n = {first['samples']:,} a run", f"{seeds} seed{'s' * (seeds != '1')}"]
    parts += [f"protocol {table.protocol}", *([more] if more else [])]
    signs = int(figure.get_figwidth() * SIGNS)
    text = textwrap.fill(" · ".join(parts), signs, break_long_words=False, break_on_hyphens=False)
    figure.suptitle(text, x=0.01, ha="left", fontsize=7.5, color=NEUTRAL, fontweight="normal")


@contextmanager
def style() -> Iterator[None]:
    """Draw and save in the project's style, whatever the user's matplotlib is set to."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def canvas(width: float, height: float) -> Canvas:
    """An empty figure of so many inches, drawn without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    figure = Canvas(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Canvas, stem: Path, title: str, grid: bool = False) -> Figure:
    """Write ``stem.png``, ``stem.svg`` and, of a plot, ``stem.pdf``, each atomically."""
    for axes in figure.axes:  # findobj would look at every tick
        for drawn in filter(_has_many_points, (*axes.lines, *axes.collections)):
            drawn.set_rasterized(True)
    engine = figure.get_layout_engine()
    if engine:  # once for both files
        engine.execute(figure)
        figure.set_layout_engine(None)
    written = Figure(title, stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.svg"), grid)
    undated: dict[str, dict[str, Any]] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    for path in written.paths:
        metadata = undated[path.suffix]
        with atomic(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:], dpi=DPI, metadata=metadata)
    return written


def _has_many_points(drawn: Artist) -> bool:
    """Whether points would make a vector file of megabytes that takes seconds to draw."""
    from matplotlib.collections import Collection
    from matplotlib.lines import Line2D

    if isinstance(drawn, Line2D):
        return bool(np.size(drawn.get_xdata()) > MANY)
    return isinstance(drawn, Collection) and max(np.size(drawn.get_offsets()) // 2, len(drawn.get_paths())) > MANY


def scale_axis(axes: Axes, values: Sequence[float], ceiling: float) -> None:
    """Set the y axis up for the values up to ``ceiling``; logarithmic where they span more than a factor of five."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = min(values), min(max(values), ceiling)
    if low > 0 and high > 5 * low:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_ylim(low / 1.15, high * 1.15)
    else:
        room = 0.08 * (high - low or abs(high) or 1)
        axes.set_ylim(low - room, high + room)


def ceiling(table: Table) -> float:
    """Where the axis of the ranking metric ends, so that a few bad settings do not flatten all other curves.

    Twice the value without guidance, and above every method's best; infinite where nothing lies far beyond.
    """
    metric = table.primary.name
    values = table.settings[metric]
    if table.primary.direction != "lower" or values.min() <= 0:
        return math.inf
    none = table.settings.loc[table.settings["method"] == "none", metric].tolist()
    bound = max([1.1 * table.best[metric].max(), *(2 * value for value in none)])
    return bound if values.max() > 1.25 * bound else math.inf


def crowd_ceiling(table: Table) -> float:
    """The same for a figure of best settings alone: a best beyond twice ``none`` is above the axis."""
    metric, bound = table.primary.name, ceiling(table)
    none = table.best.loc[table.best["method"] == "none", metric].tolist()
    near = [value for value in table.best[metric] if none and value <= 2 * none[0]]
    if table.primary.direction != "lower" or not near or min(near) <= 0 or len(near) == len(table.best):
        return bound
    return 1.05 * max(near)


def mark_hidden(axes: Axes, x: Sequence[float], y: Sequence[float], ceiling: float, colour: str) -> None:
    """An arrow at the upper edge for each point above the axis."""
    hidden = [a for a, b in zip(x, y, strict=True) if b > ceiling]
    if hidden:
        at_edge = axes.get_xaxis_transform()
        axes.plot(hidden, [0.94] * len(hidden), transform=at_edge, label=HIDDEN, zorder=5, **arrow(colour))


def arrow(colour: str) -> dict[str, Any]:
    """How a point above the axis is drawn."""
    from matplotlib.path import Path as Outline

    points = [(-0.6, 0.2), (0.0, 1.0), (0.6, 0.2), (0.0, 1.0), (0.0, -1.0)]
    outline = Outline(points, [Outline.MOVETO, Outline.LINETO, Outline.LINETO, Outline.MOVETO, Outline.LINETO])
    edge = {"markeredgecolor": colour, "markeredgewidth": 1.8, "markerfacecolor": "none"}
    return {"linestyle": "", "marker": outline, "markersize": 10, **edge}
