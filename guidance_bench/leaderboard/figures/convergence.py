"""The ranking metric against the steps that the main network was trained for, over runs that differ in these alone; and
what a single training saw of itself on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...core.identity import canonical
from ...experiments.specification import protocol_of
from ..setting_texts import short
from .style import NEUTRAL, canvas, head, looks, scale_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from ..protocol_tables import Table


def trainings(found: Sequence[Table], records: Mapping[str, Mapping[str, Any]]) -> list[dict[int, Table]]:
    """Tables whose protocols differ only in how long the main network was trained, each group by its steps, in order.

    Args:
        found: tables.
        records: those behind them by run id.
    """
    groups: dict[str, dict[int, Table]] = {}
    for table in found:
        first = records[table.settings["run_ids"].iloc[0][0]]
        protocol = protocol_of(first["spec"])
        steps = protocol["networks"]["main"].get("steps")
        if isinstance(steps, int):
            key = canonical([_without_steps(protocol), first["evaluator"], table.primary.name])
            groups.setdefault(key, {})[steps] = table
    return [dict(sorted(group.items())) for group in groups.values() if len(group) > 1]


def _without_steps(protocol: Mapping[str, Any]) -> dict[str, Any]:
    main = {k: v for k, v in protocol["networks"]["main"].items() if k not in ("steps", "sha256")}
    parameters = {k: v for k, v in protocol["benchmark"].get("parameters", {}).items() if k != "train_steps"}
    return {
        **protocol,
        "networks": {**protocol["networks"], "main": main},
        "benchmark": {**protocol["benchmark"], "parameters": parameters},
    }


def convergence_figure(group: Mapping[int, Table]) -> Canvas:
    """A line for each method, at each number of steps its best setting there: mean over seeds, bars: sd; beside it the
    gain over ``none`` where that was run, which the fall of all lines hides.

    Args:
        group: tables by training steps, in order.
    """
    import pandas as pd

    last = list(group.values())[-1]
    metric, spread = last.primary.name, f"{last.primary.name}.sd"
    rows = pd.concat([table.best.assign(_steps=steps) for steps, table in group.items()])
    gains = bool(rows["gain"].notna().any())
    figure = canvas(8.6 if gains else 5.6, max(3.5, 0.22 * len(last.best) + 0.9))
    panels = list(figure.subplots(1, 1 + gains, squeeze=False).flat)
    for method, look in looks(last.best["method"]).items():
        own = rows[rows["method"] == method]
        line: dict[str, Any] = {"color": look.colour, "marker": look.marker, "markersize": 6, "linewidth": 1.3}
        bars = {"yerr": own[spread], "capsize": 2} if own[spread].notna().any() else {}
        panels[0].errorbar(own["_steps"], own[metric], label=short(str(method)), **bars, **line)
        if own["gain"].notna().any():
            panels[1].plot(own["_steps"], own["gain"], **line)
    around = rows[spread].fillna(0)
    scale_axis(panels[0], [*(rows[metric] - around), *(rows[metric] + around)], float("inf"))
    panels[0].set_ylabel(last.primary.heading)
    if gains:
        panels[1].axhline(0, color=NEUTRAL, linestyle="--", linewidth=1.2, zorder=1)
        panels[1].set_ylabel(f"{last.primary.title} gain over none (%)")
    for axes in panels:
        _steps(axes, list(group))
    words = "\nbars: sd of seeds" if rows[spread].notna().any() else ""
    title = f"each at its best\nfor that network{words}"
    legend = figure.legend(loc="outside right upper", frameon=False, title=title, title_fontsize=8)
    legend.set_alignment("left")
    head(figure, replace(last, title=last.benchmark))  # the lines run over what tells the tables apart
    return figure


def observed_figure(rows: Sequence[Mapping[str, Any]]) -> Canvas:
    """What a training saw of itself: the Frechet distance of a few samples against its steps, a line for each method.

    Args:
        rows: of its ``observed.csv``, each {"step", "name": ``frechet_cells_<method>``, "value"}.
    """
    lines: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        lines.setdefault(str(row["name"]).removeprefix("frechet_cells_"), []).append((row["step"], row["value"]))
    return training_figure(lines, "Frechet distance of cells ↓")


def training_figure(lines: Mapping[str, Sequence[tuple[int, float]]], ylabel: str) -> Canvas:
    """Values (step, value) of each name against training steps; a method has its own colour."""
    figure = canvas(5.6, 3.5)
    axes = figure.subplots()
    for name, look in looks(lines).items():
        steps, values = zip(*lines[name], strict=True)
        line: dict[str, Any] = {"color": look.colour, "marker": look.marker, "markersize": 5, "linewidth": 1.3}
        axes.plot(steps, values, label=short(name), **line)
    scale_axis(axes, [value for line in lines.values() for _, value in line], float("inf"))
    axes.set(xlabel="training steps", ylabel=ylabel)
    axes.grid()
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def _steps(axes: Axes, steps: Sequence[int]) -> None:
    axes.set_xlabel("training steps of the main network")
    if steps[-1] >= 8 * steps[0]:
        axes.set_xscale("log")
    axes.set_xticks(steps, [f"{one:,}" for one in steps], minor=False)
    axes.set_xticks([], minor=True)
    axes.grid()
