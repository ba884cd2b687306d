"""The figures of a leaderboard, each as PNG and SVG: equal data give equal files."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .aggregation import pareto
from .files import atomic
from .pictures import COLUMNS, Images
from .settings import plain, swept_parameter
from .spec import canonical

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from .columns import Column
    from .tables import Table

DPI = 150
#: Colours that colour-blind readers tell apart (seaborn's "colorblind", without its greys and yellow).
COLOURS = ("#029e73", "#0173b2", "#d55e00", "#cc78bc", "#ca9161", "#56b4e9", "#de8f05", "#8c6bb1")
MARKERS = ("s", "o", "D", "^", "v", "P", "X", "p", "h")
NEUTRAL = "#4d4d4d"
INK = "#222222"
STYLE = {
    "svg.hashsalt": "guidance_bench",
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
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

    Where two names want one colour, the later in the alphabet takes the next that is free; with more methods than colours the
    marker tells them apart.
    """
    chosen: dict[str, Look] = {}
    for name in sorted(set(methods)):
        wanted = zlib.crc32(name.encode())
        turns = [(wanted + shift) % len(COLOURS) for shift in range(len(COLOURS))]
        options = [Look(COLOURS[c], MARKERS[(c + r) % len(MARKERS)]) for r in range(len(MARKERS)) for c in turns]
        free = (look for look in options if look not in chosen.values())
        chosen[name] = Look(NEUTRAL, "*") if name == "none" else next(free, options[0])
    return chosen
