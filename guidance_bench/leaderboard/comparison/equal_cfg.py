"""Is it just more CFG? Each method against the benchmark's own CFG at the strength that the method comes to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..metric_columns import Column
from ..protocol_tables import Table
from .paired import LEVEL, paired
from .seeds import by_seed
from .strengths import Trajectory

if TYPE_CHECKING:
    import pandas as pd


def with_equal_cfg(table: Table, strengths: Mapping[str, Trajectory]) -> Table:
    """The table with columns ``strength`` (mean w_e), ``over_cfg`` (gain in percent over CFG of that strength, paired
    over seeds; NaN where CFG's curve does not reach it) and ``over_cfg_tie`` (whether the paired t leaves it open).

    CFG's curve is the line through ``none`` (scale 1) and the settings of ``cfg`` that differ in the scale alone, seed
    by seed.
    """
    if not any(run in strengths for runs in table.best["run_ids"] for run in runs):
        return table
    curve = cfg_curve(table.settings, table.primary.name)
    rows = [_against(row, curve, strengths, table.primary) for _, row in table.best.iterrows()]
    columns = {name: [row[i] for row in rows] for i, name in enumerate(("strength", "over_cfg", "over_cfg_tie"))}
    words = (
        f"Over CFG: the gain over CFG at the scale w_e that a method's velocities come closest to, paired by seed; "
        f"= marks what a paired t does not tell from nothing ({LEVEL:.0%})."
    )
    best = table.best.assign(**columns)
    return replace(table, best=best, note=f"{table.note} {words}", strengths=strengths)


def cfg_curve(settings: pd.DataFrame, metric: str) -> dict[int, list[tuple[float, float]]]:
    """By seed: (scale, metric) of CFG, in order of the scale."""
    cfg = settings[settings["method"] == "cfg"]
    rest = [tuple(sorted((k, str(v)) for k, v in p.items() if k != "scale")) for p in cfg["parameters"]]
    usual = max(set(rest), key=rest.count) if rest else None
    points = [
        (float(row["parameters"]["scale"]), row) for (_, row), r in zip(cfg.iterrows(), rest, strict=True) if r == usual
    ]
    points += [(1.0, row) for _, row in settings[settings["method"] == "none"].iterrows()]
    curve: dict[int, list[tuple[float, float]]] = {}
    for scale, row in sorted(points, key=lambda point: point[0]):
        for seed, value in by_seed(row, metric).items():
            curve.setdefault(seed, []).append((scale, value))
    return curve


def _against(
    row: Any, curve: Mapping[int, list[tuple[float, float]]], strengths: Mapping[str, Trajectory], column: Column
) -> tuple[float, float, bool]:
    runs = dict(zip(row["seeds"], row["run_ids"], strict=True))
    measured = {seed: strengths[run].mean for seed, run in runs.items() if run in strengths}
    strength = float(np.mean(list(measured.values()))) if measured else math.nan
    own, cfg = by_seed(row, column.name), {}
    for seed, w in measured.items():
        scales, values = zip(*curve.get(seed, [(math.nan, math.nan)]), strict=True)
        if seed in own and scales[0] <= w <= scales[-1]:
            cfg[seed] = float(np.interp(w, scales, values))
    if not cfg or row["method"] in ("none", "cfg"):
        return strength, math.nan, False
    found = paired(own, cfg)
    base = float(np.mean(list(cfg.values())))
    return strength, -100 * column.loss(found.mean) / abs(base), not found.p < LEVEL
