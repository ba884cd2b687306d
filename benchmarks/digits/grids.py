"""Grids: the same number of settings for every method.

A sweep runs over a method's *strength*: how far its swept parameter is from the value that means no guidance. The pilot
tries wide strengths on networks of a seed of its own; the study tries narrow ones around what was best there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from guidance_bench.benchmark import Setting

#: The swept parameter, its values, and what is held fixed.
Grid = tuple[str, tuple[float, ...], dict[str, Any]]

#: Strengths of the pilot, in units of a sweep's own; each is twice the one before.
WIDE = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
#: Strengths of the study, in units of the pilot's best; each is sqrt(2) times the one before.
NARROW = (0.5, 0.71, 1.0, 1.41, 2.0)


@dataclass(frozen=True)
class Sweep:
    """How a method is swept.

    Attributes:
        parameter: what is swept.
        unit: of the strength; larger for methods whose parameter is by nature larger, negative where less is more.
        neutral: value of the parameter that means no guidance.
        fixed: the other parameters that are not at their defaults.
        top: largest value of the parameter, where it has one.
    """

    parameter: str = "scale"
    unit: float = 1.0
    neutral: float = 1.0
    fixed: Mapping[str, Any] = field(default_factory=dict)
    top: float | None = None

    def grid(self, strengths: Sequence[float]) -> Grid:
        """The settings of so many strengths, rounded to three places."""
        values = [round(self.neutral + self.unit * strength, 3) for strength in strengths]
        return self.parameter, tuple(v if self.top is None else min(v, self.top) for v in values), dict(self.fixed)


SWEEPS: dict[str, Sweep] = {
    "cfg": Sweep(),
    "cfg_schedule": Sweep(fixed={"shape": "linear"}),
    "cfg_rescale": Sweep(),
    "cfg_zero": Sweep(fixed={"zero_steps": 0}),
    "cfgpp": Sweep(unit=0.6, neutral=0.0),
    "rectified_cfgpp": Sweep(),
    "apg": Sweep(fixed={"norm": 0.3}),
    "tcfg": Sweep(),
    "mambo_g": Sweep(unit=2.0),
    "fdg": Sweep("high_scale", fixed={"low_scale": 1.05}),
    "recfg": Sweep(),
    "feedback": Sweep("pi", unit=-0.2, fixed={"max_scale": 3.0}),
    "adaptive": Sweep(),
    "cads": Sweep(fixed={"noise": 0.25}),
    "icg": Sweep(),
    "tsg": Sweep(),
    "autoguidance": Sweep(),
    "ig": Sweep(),
    "ig_cfg": Sweep("ig_scale", fixed={"cfg_scale": 1.1, "cfg_high": 0.7}),
    "pag": Sweep(),
    "seg": Sweep(),
    "sag": Sweep(),
    "tpg": Sweep(),
    "slg": Sweep("skip_scale"),
    "s2": Sweep("strength", neutral=0.0, fixed={"scale": 1.1}),
    "sgg": Sweep("weak_scale", fixed={"scale": 1.1}),
    "self_guidance": Sweep(unit=8.0),
    "sg_prev": Sweep(),
}


def settings(grids: Mapping[str, Grid]) -> list[Setting]:
    """``none`` and every point of every method's grid."""
    points = [
        Setting(method, {**fixed, swept: value}) for method, (swept, values, fixed) in grids.items() for value in values
    ]
    return [Setting("none", {}), *points]
