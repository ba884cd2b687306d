"""How every figure looks, and how it is written: equal data give equal files."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...storage.files import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from ..protocol_tables import Table

DPI = 150
#: Colours that colour-blind readers tell apart (seaborn's "colorblind", without its greys and yellow).
COLOURS = ("#029e73", "#0173b2", "#d55e00", "#cc78bc", "#ca9161", "#56b4e9", "#de8f05", "#8c6bb1")
MARKERS = ("s", "o", "D", "^", "v", "P", "X", "p", "h")
NEUTRAL = "#4d4d4d"
INK = "#222222"
HIDDEN = "_above the axis"
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
    """One figure in two files.

    Attributes:
        title: what it shows, for captions and readers without pictures.
        png: 150 dots an inch.
        svg: for print and the page.
        grid: whether it is a grid of samples.
    """

    title: str
    png: Path
    svg: Path
    grid: bool = False

    @property
    def paths(self) -> tuple[Path, Path]:
        """Both files."""
        return self.png, self.svg


@dataclass(frozen=True)
class Look:
    """How a method is drawn in every figure."""

    colour: str
    marker: str


def looks(methods: Iterable[str]) -> dict[str, Look]:
    """A colour and marker for each method, from its name, so that they stay the same from one leaderboard to the next.

    Where two names want one colour, the later in the alphabet takes the next that is free; with more methods than
    colours the marker tells them apart.
    """
    chosen: dict[str, Look] = {}
    for name in sorted(set(methods)):
        wanted = zlib.crc32(name.encode())
        turns = [(wanted + shift) % len(COLOURS) for shift in range(len(COLOURS))]
        options = [Look(COLOURS[c], MARKERS[(c + r) % len(MARKERS)]) for r in range(len(MARKERS)) for c in turns]
        free = (look for look in options if look not in chosen.values())
        chosen[name] = Look(NEUTRAL, "*") if name == "none" else next(free, options[0])
    return chosen


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
    """Write ``stem.png`` and ``stem.svg`` atomically."""
    engine = figure.get_layout_engine()
    if engine:  # once for both files
        engine.execute(figure)
        figure.set_layout_engine(None)
    written = Figure(title, stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.svg"), grid)
    for path, metadata in ((written.png, {}), (written.svg, {"Date": None})):
        with atomic(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:], dpi=DPI, metadata=metadata)
    return written


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


def mark_hidden(axes: Axes, x: Sequence[float], y: Sequence[float], ceiling: float, colour: str) -> None:
    """An arrow at the upper edge for each point above the axis."""
    for place in (a for a, b in zip(x, y, strict=True) if b > ceiling):
        at_edge = axes.get_xaxis_transform()
        axes.plot(place, 0.94, transform=at_edge, label=HIDDEN, zorder=5, **arrow(colour))


def arrow(colour: str) -> dict[str, Any]:
    """How a point above the axis is drawn."""
    from matplotlib.path import Path as Outline

    points = [(-0.6, 0.2), (0.0, 1.0), (0.6, 0.2), (0.0, 1.0), (0.0, -1.0)]
    outline = Outline(points, [Outline.MOVETO, Outline.LINETO, Outline.LINETO, Outline.MOVETO, Outline.LINETO])
    edge = {"markeredgecolor": colour, "markeredgewidth": 1.8, "markerfacecolor": "none"}
    return {"linestyle": "", "marker": outline, "markersize": 10, **edge}
