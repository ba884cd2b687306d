"""Schedules of a guidance scale in t."""

from __future__ import annotations

import math

SHAPES = ("constant", "linear", "cosine", "power_cosine", "clamp_linear", "exponential")

#: Rate of the exponential shape, that of C2FG for DiT.
RATE = math.log(2)


def scheduled_scale(
    shape: str, scale: float, t: float, floor: float = 1.0, power: float = 1.0, rate: float = RATE
) -> float:
    """The scale at time t (1 = noise) of a schedule that grows toward data.

    Shapes after Wang et al., "Analysis of Classifier-Free Guidance Weight Schedulers", arXiv 2404.13040, for w = scale:

    * linear: 1 + 2 (w - 1) (1 - t), of mean w over t;
    * cosine: 1 + (w - 1) (1 - cos(pi (1 - t))), of mean w;
    * power_cosine: 1 + (w - 1) (1 - cos(pi (1 - t)^s)) / 2, which ends at w;
    * clamp_linear: linear, but never below ``floor``;
    * exponential: 1 + (w - 1) exp(rate (1 - t)), of C2FG (arXiv 2603.08155; rate ln 2 for DiT, 1 for SiT with the SDE).

    The paper writes them for noise predictions and a weight that counts from 0; these are their forms for t in [0, 1]
    and a scale that counts from 1.
    """
    data, extra = 1 - t, scale - 1
    if shape == "linear":
        return 1 + 2 * extra * data
    if shape == "cosine":
        return 1 + extra * (1 - math.cos(math.pi * data))
    if shape == "power_cosine":
        return 1 + extra * (1 - math.cos(math.pi * data**power)) / 2
    if shape == "clamp_linear":
        return max(floor, 1 + 2 * extra * data)
    if shape == "exponential":
        return 1 + extra * math.exp(rate * data)
    return scale
