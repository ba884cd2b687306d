"""What the study of real images tries of each method, and what it found on the seed that is only for tuning."""

from __future__ import annotations

from typing import Any

from ..shared.grids import Grid, Sweep

#: Every method is tried at four strengths, each twice the one before.
STRENGTHS = (0.25, 0.5, 1.0, 2.0)

#: What is fixed is the method's default but for: a linear schedule (cfg_schedule); no standing first step, a twentieth
#: of this path (cfg_zero); the published share of low to high frequencies (fdg); a mild CFG where a method adds to it.
SWEEPS: dict[str, Sweep] = {
    "cfg": Sweep(),
    "autoguidance": Sweep(),
    "ig": Sweep(),
    "ig_cfg": Sweep("ig_scale", unit=0.5, fixed={"cfg_scale": 1.25, "cfg_high": 0.7}),
    "momentum": Sweep("alpha", neutral=0.0),
    "cfg_schedule": Sweep(fixed={"shape": "linear"}),
    "cfg_rescale": Sweep(),
    "cfg_zero": Sweep(fixed={"zero_steps": 0}),
    "apg": Sweep(),
    "tcfg": Sweep(),
    "fdg": Sweep("high_scale", linked={"low_scale": 0.45}),
    "icg": Sweep(),
    "pag": Sweep(),
    "seg": Sweep(),
    "slg": Sweep("skip_scale"),
    "sg_prev": Sweep(),
}


def tried(method: str) -> Grid:
    """A method's four settings."""
    return SWEEPS[method].grid(STRENGTHS)


#: Each method's best setting by FID on the tuning seed: what the study reports. A test holds it against the records.
TUNED: dict[str, dict[str, Any]] = {
    "cfg": {"scale": 2.0},
    "autoguidance": {"scale": 1.5},
    "ig": {"scale": 2.0},
    "ig_cfg": {"cfg_scale": 1.25, "cfg_high": 0.7, "ig_scale": 1.5},
    "momentum": {"alpha": 0.25},
    "cfg_schedule": {"shape": "linear", "scale": 2.0},
    "cfg_rescale": {"scale": 1.5},
    "cfg_zero": {"zero_steps": 0, "scale": 2.0},
    "apg": {"scale": 3.0},
    "tcfg": {"scale": 3.0},
    "fdg": {"low_scale": 1.45, "high_scale": 2.0},
    "icg": {"scale": 1.5},
    "pag": {"scale": 1.25},
    "seg": {"scale": 1.25},
    "slg": {"skip_scale": 1.25},
    "sg_prev": {"scale": 1.25},
}
