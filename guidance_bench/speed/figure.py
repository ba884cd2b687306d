"""How time grows, drawn from a record: each sweep with the power that fits it, each method beside its evaluations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..leaderboard.figures.style import NEUTRAL, Figure, canvas, look_of, save, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Sweeps by their name in the record, and what stands below their axis.
SWEEPS = {
    "samples": "samples of a run",
    "batch": "samples in a batch",
    "latents a side": "height and width of latents",
    "width": "width of a token",
}


def growth_figure(record: Mapping[str, Any], stem: Path) -> Figure:
    """Draw ``scaling`` of a record of :func:`guidance_bench.speed.measure.measure`.

    Args:
        record: the record.
        stem: path of the files without ending.
    """
    found = record["results"]["scaling"]
    title = "What sampling costs as it grows"
    with style():
        figure = canvas(9.2, 6.4)
        grid = figure.add_gridspec(2, 4, width_ratios=(1, 1, 1.15, 1.15))
        places = (grid[0, 0], grid[0, 1], grid[1, 0], grid[1, 1])
        for (name, label), place in zip(SWEEPS.items(), places, strict=True):
            _sweep(figure.add_subplot(place), found[name], label)
        _methods(figure.add_subplot(grid[:, 2:]), found["methods"])
        where = record["environment"]
        text = f"{title} · small SiT of the digits · {where['device']} · torch {where['packages']['torch']}"
        figure.suptitle(text, x=0.01, ha="left", fontsize=7.5, color=NEUTRAL, fontweight="normal")
        return save(figure, stem, title)


def _sweep(axes: Axes, found: Mapping[str, Any], label: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    sizes = sorted(map(int, found["seconds"]))
    seconds = [found["seconds"][str(size)] for size in sizes]
    power = found["exponent"]
    middle = math.fsum(math.log(s) - power * math.log(n) for n, s in zip(sizes, seconds, strict=True)) / len(sizes)
    axes.plot(sizes, [math.exp(middle) * n**power for n in sizes], color=NEUTRAL, linewidth=1)
    axes.plot(sizes, seconds, "o", color=look_of("ig").colour)
    _logarithmic(axes, sizes)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(label)
    axes.set_ylabel("seconds")
    axes.set_title(f"time ~ size$^{{{power:.2f}}}$", parse_math=True, fontweight="normal")


def _methods(axes: Axes, found: Mapping[str, Any]) -> None:
    """A row a method: its evaluations and its time, each over those of ``none``."""
    counts, times = found["evaluations"], found["time_over_none"]
    names = sorted(counts, key=lambda name: (-times[name], name))
    for row, name in enumerate(names):
        axes.plot([counts[name], times[name]], [row, row], color="#bbbbbb", linewidth=1, zorder=1)
    rows = range(len(names))
    hollow: dict[str, Any] = {"markerfacecolor": "white", "markeredgecolor": NEUTRAL}
    axes.plot([counts[n] for n in names], rows, "o", markersize=4.5, label="evaluations of the network", **hollow)
    axes.plot([times[n] for n in names], rows, "o", markersize=4.5, label="time", color=look_of("ig").colour)
    _logarithmic(axes, [1, 2, 3, 5, 8])
    axes.set_yticks(rows, names, fontsize=7)
    axes.set_ylim(-1, len(names))
    axes.set_xlabel("over those without guidance")
    axes.legend(loc="upper right", fontsize=8, frameon=False)
    power = f"time ~ evaluations$^{{{found['exponent']:.2f}}}$"
    axes.set_title(f"{len(names)} methods: {power}", parse_math=True, fontweight="normal")


def _logarithmic(axes: Axes, ticks: list[int]) -> None:
    """A logarithmic x axis with these ticks alone, and a grid behind."""
    from matplotlib.ticker import NullLocator

    axes.set_xscale("log")
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(visible=True)
    axes.set_axisbelow(True)
