"""Is it just more CFG? Each method against the benchmark's own CFG at the strength that the method comes to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..metric_columns import Column
from ..protocol_tables import Table
from .paired import LEVEL, holm, log_scale, moderated, paired
from .seeds import by_seed
from .strengths import Trajectory

if TYPE_CHECKING:
    import pandas as pd

#: Points that a curve has at least.
CURVE = 3


def with_equal_cfg(table: Table, strengths: Mapping[str, Trajectory]) -> Table:
    """The table with what tells a method from more CFG, where strengths were measured.

    Columns ``strength`` (mean w_e), ``over_cfg`` (gain in percent over CFG of that strength, paired over seeds; NaN
    where CFG's curve does not reach it) and ``over_cfg_tie`` (whether the test of ties, corrected for all methods,
    leaves it open).

    CFG's curve is the line through ``none`` (scale 1) and the settings of ``cfg`` that differ in the scale alone, seed
    by seed; there must be two of these, for the metric bends over the scale and a chord from ``none`` to a single one
    lies on its bad side.
    """
    if not any(run in strengths for runs in table.best["run_ids"] for run in runs):
        return table
    curve = cfg_curve(table.settings, table.primary.name)
    rows = [_against(row, curve, strengths, table.primary) for _, row in table.best.iterrows()]
    measured = [place for place, row in enumerate(rows) if row.cfg]
    scaled = log_scale([side for place in measured for side in (rows[place].own, rows[place].cfg)])
    pairs = list(zip(scaled[::2], scaled[1::2], strict=True))
    p = dict(zip(measured, holm(moderated(pairs, len(pairs) + 1)), strict=True))
    columns = {
        "strength": [row.strength for row in rows],
        "over_cfg": [row.gain for row in rows],
        "over_cfg_tie": [place in p and not p[place] < LEVEL for place in range(len(rows))],
    }
    words = (
        "w_e: the CFG scale that a method's velocities come closest to; the gain over CFG of that strength is left "
        "out: it needs two scales of cfg, one of them beyond w_e."
        if not measured
        else "Over CFG: the gain of the setting shown over CFG at the scale w_e that its velocities come closest to, "
        "paired by seed; = marks what the same test, corrected for all methods, does not tell from nothing "
        f"({LEVEL:.0%})."
    )
    best = table.best.assign(**columns)
    return replace(table, best=best, note=f"{table.note} {words}", strengths=strengths)


@dataclass(frozen=True)
class _Against:
    """A method and CFG of its strength, by seed; ``cfg`` is empty where CFG's curve does not reach that far."""

    strength: float
    own: dict[int, float]
    cfg: dict[int, float]
    column: Column

    @property
    def gain(self) -> float:
        """In percent of CFG's mean; NaN where there is none."""
        if not self.cfg:
            return math.nan
        return -100 * self.column.loss(paired(self.own, self.cfg).mean) / abs(float(np.mean(list(self.cfg.values()))))


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
) -> _Against:
    runs = dict(zip(row["seeds"], row["run_ids"], strict=True))
    measured = {seed: strengths[run].mean for seed, run in runs.items() if run in strengths}
    strength = float(np.mean(list(measured.values()))) if measured else math.nan
    own, cfg = by_seed(row, column.name), {}
    for seed, w in measured.items() if row["method"] not in ("none", "cfg") else ():
        scales, values = zip(*curve.get(seed, [(math.nan, math.nan)]), strict=True)
        if seed in own and len(scales) >= CURVE and scales[0] <= w <= scales[-1]:
            cfg[seed] = float(np.interp(w, scales, values))
    return _Against(strength, own, cfg, column)
