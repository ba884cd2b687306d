"""Grids: the same number of settings for every method.

The pilot tries wide strengths on networks of a seed of its own; the study tries narrow ones around what was best there.
"""

from __future__ import annotations

import itertools
from typing import Any

from ..shared.grids import Grid, Sweep

#: Strengths of the pilot; each is twice the one before.
WIDE = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
#: Strengths of the study, in units of the pilot's best, at which or above which most methods are best.
NARROW = (1.0, 1.41, 2.0)

#: What is fixed is the method's default but for: the published share of low to high frequencies (fdg); a table
#: measured on the training data (recfg); a threshold that saves a quarter of CFG's evaluations, as in the paper
#: (adaptive); limits and noises in this small network's units (apg, cads, tsg); no standing first step, a sixteenth of
#: this short path (cfg_zero); a mild CFG where a method adds to it; the middle third of the blocks left out, in slg at
#: all times; a direction that keeps its length (beta_cfg).
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
    "feedback": Sweep("max_scale"),
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
    "slg": Sweep("skip_scale", fixed={"layers": None, "high": 1.0}),
    "s2": Sweep("strength", neutral=0.0, fixed={"scale": 1.1}),
    "sgg": Sweep("weak_scale", fixed={"scale": 1.1, "layers": None}),
    "self_guidance": Sweep(unit=8.0),
    "sg_prev": Sweep(),
    "momentum": Sweep("alpha", neutral=0.0),
    "higs": Sweep("strength", unit=2.0, neutral=0.0, fixed={"scale": 1.1}),
    "adg": Sweep(),
    "power_law": Sweep(),
    "energy_preserving": Sweep(),
    "beta_cfg": Sweep(fixed={"gamma": 0.0}),
    "cfg_mp": Sweep(),
    "reg": Sweep(),
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
    "momentum": 0.025,
    "higs": 1.6,
    "adg": 0.1,
    "power_law": 0.025,
    "energy_preserving": 0.1,
    "beta_cfg": 0.025,
    "cfg_mp": 0.025,
    "reg": 0.2,
}


def around(method: str) -> Grid:
    """A method's settings in the study: the narrow strengths around the pilot's best."""
    return SWEEPS[method].grid([PILOT_BEST[method] * factor for factor in NARROW])


#: Ends of the intervals, between the times of 16 Euler steps.
LOWS, HIGHS = (0.0, 0.2, 0.4, 0.6), (0.4, 0.6, 0.8, 1.0)


def intervals(**fixed: Any) -> Grid:
    """A method's settings over every interval that has room."""
    return [{**fixed, "low": low, "high": high} for low, high in itertools.product(LOWS, HIGHS) if low < high]
