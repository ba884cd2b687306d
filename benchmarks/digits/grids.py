"""Scale grids: the same number of settings for every method, scaled to what this small network bears."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from guidance_bench.benchmark import Setting

#: The swept parameter, its values, and what is held fixed.
Grid = tuple[str, tuple[float, ...], dict[str, Any]]

ALL_METHODS: dict[str, Grid] = {
    "cfg": ("scale", (1.1, 1.2, 1.4), {}),
    "cfg_schedule": ("scale", (1.1, 1.2, 1.4), {"shape": "linear"}),
    "cfg_rescale": ("scale", (1.1, 1.25, 1.5), {}),
    "cfg_zero": ("scale", (1.1, 1.2, 1.4), {"zero_steps": 0}),
    "cfgpp": ("scale", (0.3, 0.5, 0.8), {}),
    "rectified_cfgpp": ("scale", (1.1, 1.2, 1.4), {}),
    "apg": ("scale", (1.2, 1.5, 2.0), {"norm": 0.3}),
    "tcfg": ("scale", (1.1, 1.2, 1.4), {}),
    "mambo_g": ("scale", (1.3, 1.8, 3.0), {"alpha": 4.0}),
    "fdg": ("high_scale", (1.2, 1.4, 1.8), {"low_scale": 1.1}),
    "recfg": ("scale", (1.1, 1.2, 1.4), {}),
    "feedback": ("pi", (0.9, 0.95, 0.99), {"max_scale": 3.0}),
    "adaptive": ("scale", (1.1, 1.2, 1.4), {"threshold": 0.99}),
    "cads": ("scale", (1.1, 1.3, 1.6), {"noise": 0.25}),
    "icg": ("scale", (1.1, 1.2, 1.4), {}),
    "tsg": ("scale", (1.1, 1.3, 1.6), {}),
    "autoguidance": ("scale", (1.1, 1.25, 1.5), {}),
    "ig": ("scale", (1.4, 1.7, 2.1), {}),
    "ig_cfg": ("ig_scale", (1.3, 1.5, 1.8), {"cfg_scale": 1.1, "cfg_high": 0.7}),
    "pag": ("scale", (1.05, 1.15, 1.3), {}),
    "seg": ("scale", (1.1, 1.3, 1.6), {}),
    "sag": ("scale", (1.1, 1.2, 1.4), {}),
    "tpg": ("scale", (1.05, 1.15, 1.3), {}),
    "slg": ("skip_scale", (1.05, 1.15, 1.3), {}),
    "s2": ("strength", (0.05, 0.1, 0.25), {"scale": 1.2}),
    "sgg": ("weak_scale", (1.05, 1.15, 1.3), {"scale": 1.2, "tau": 0.3}),
    "self_guidance": ("scale", (1.5, 2.5, 4.0), {}),
    "sg_prev": ("scale", (1.1, 1.25, 1.5), {"high": 0.9}),
}


def settings(grids: Mapping[str, Grid]) -> list[Setting]:
    """``none`` and every point of every method's grid."""
    points = [
        Setting(method, {**fixed, swept: value}) for method, (swept, values, fixed) in grids.items() for value in values
    ]
    return [Setting("none", {}), *points]
