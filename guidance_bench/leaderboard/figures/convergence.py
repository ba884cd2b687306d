"""The ranking metric against the steps that the main network was trained for, over runs that differ in these alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...core.identity import canonical
from ...experiments.specification import protocol_of
from ..setting_texts import short
from .style import canvas, head, looks, scale_axis

if TYPE_CHECKING:
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
    """A line for each method, at each number of steps its best setting there: mean over seeds, bars: sd.

    Args:
        group: tables by training steps, in order.
    """
    import pandas as pd

    last = list(group.values())[-1]
    metric, spread = last.primary.name, f"{last.primary.name}.sd"
    rows = pd.concat([table.best.assign(_steps=steps) for steps, table in group.items()])
    figure = canvas(5.6, max(3.5, 0.22 * len(last.best) + 0.9))
    axes = figure.subplots()
    for method, look in looks(last.best["method"]).items():
        own = rows[rows["method"] == method]
        line: dict[str, Any] = {"color": look.colour, "marker": look.marker, "markersize": 6, "capsize": 2}
        axes.errorbar(own["_steps"], own[metric], own[spread], label=short(str(method)), linewidth=1.3, **line)
    bars = rows[spread].fillna(0)
    scale_axis(axes, [*(rows[metric] - bars), *(rows[metric] + bars)], float("inf"))
    axes.set(xlabel="training steps of the main network", ylabel=last.primary.heading)
    if max(group) >= 8 * min(group):
        axes.set_xscale("log")
    axes.set_xticks(list(group), [f"{steps:,}" for steps in group], minor=False)
    axes.set_xticks([], minor=True)
    axes.grid()
    words = "\nbars: sd of seeds" if rows[spread].notna().any() else ""
    title = f"each at its best\nfor that network{words}"
    legend = figure.legend(loc="outside right upper", frameon=False, title=title, title_fontsize=8)
    legend.set_alignment("left")
    head(figure, last)
    return figure
