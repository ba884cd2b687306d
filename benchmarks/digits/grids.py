"""Grids: the same number of settings for every method.

Where all methods are compared, a sweep runs over a method's *strength*: how far its swept parameter is from the value
that means no guidance. The pilot tries wide strengths on networks of a seed of its own; the study tries narrow ones
around what was best there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from guidance_bench.experiments.benchmark import Setting

#: Every setting of a method.
Grid = list[dict[str, Any]]

#: Strengths of the pilot; each is twice the one before.
WIDE = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
#: Strengths of the study, in units of the pilot's best; each is sqrt(2) times the one before.
NARROW = (0.5, 0.71, 1.0, 1.41, 2.0, 2.83)


def grid(parameter: str, values: Sequence[float], **fixed: Any) -> Grid:
    """A method's settings: one parameter swept, others held."""
    return [{**fixed, parameter: value} for value in values]


@dataclass(frozen=True)
class Sweep:
    """How a method is swept.

    Attributes:
        parameter: what is swept.
        unit: of the strength; larger for methods whose parameter is by nature larger.
        neutral: value of the parameter that means no guidance.
        fixed: the other parameters that are not at their defaults.
        linked: parameters swept along, each at a share of the strength.
    """

    parameter: str = "scale"
    unit: float = 1.0
    neutral: float = 1.0
    fixed: Mapping[str, Any] = field(default_factory=dict)
    linked: Mapping[str, float] = field(default_factory=dict)

    def grid(self, strengths: Sequence[float]) -> Grid:
        """The settings of so many strengths."""
        return [self._setting(strength) for strength in strengths]

    def _setting(self, strength: float) -> dict[str, Any]:
        linked = {name: self._value(share * strength) for name, share in self.linked.items()}
        return {**self.fixed, **linked, self.parameter: self._value(strength)}

    def _value(self, strength: float) -> float:
        return round(self.neutral + self.unit * strength, 4)


#: What is fixed is the method's default but for: the published share of low to high frequencies (fdg); a table
#: measured on the training data (recfg); a threshold that saves a quarter of CFG's evaluations, as in the paper
#: (adaptive); limits and noises in this small network's units (apg, cads, tsg); no standing first step, a sixteenth of
#: this short path (cfg_zero); a mild CFG where a method adds to it; limits in flow time, not the published places on
#: EDM2's grid (feedback).
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
    "fdg": Sweep("high_scale", linked={"low_scale": 0.45}),
    "recfg": Sweep(fixed={"table": "measured"}),
    "feedback": Sweep("max_scale", fixed={"t0": 0.5, "t1": 0.4}),
    "adaptive": Sweep(fixed={"threshold": 0.96}),
    "cads": Sweep(fixed={"noise": 0.25}),
    "icg": Sweep(),
    "tsg": Sweep(fixed={"amount": 1.0}),
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


#: The strength that was best in the pilot (its records are committed, and a test compares).
PILOT_BEST: dict[str, float] = {
    "cfg": 0.05,
    "cfg_schedule": 0.1,
    "cfg_rescale": 0.1,
    "cfg_zero": 0.05,
    "cfgpp": 0.4,
    "rectified_cfgpp": 0.05,
    "apg": 0.1,
    "tcfg": 0.1,
    "mambo_g": 0.4,
    "fdg": 0.1,
    "recfg": 0.05,
    "feedback": 0.05,
    "adaptive": 0.05,
    "cads": 0.2,
    "icg": 0.05,
    "tsg": 0.8,
    "autoguidance": 0.05,
    "ig": 0.4,
    "ig_cfg": 0.4,
    "pag": 0.2,
    "seg": 0.4,
    "sag": 0.025,
    "tpg": 0.2,
    "slg": 0.4,
    "s2": 0.2,
    "sgg": 0.025,
    "self_guidance": 0.4,
    "sg_prev": 0.025,
}


def around(method: str) -> Grid:
    """A method's settings in the study: the narrow strengths around the pilot's best."""
    return SWEEPS[method].grid([PILOT_BEST[method] * factor for factor in NARROW])


def settings(grids: Mapping[str, Grid]) -> list[Setting]:
    """``none`` and every point of every method's grid."""
    return [
        Setting("none", {}),
        *(Setting(method, dict(point)) for method, points in grids.items() for point in points),
    ]
