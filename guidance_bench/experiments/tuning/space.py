"""What a method's tuning runs over: its scales, each by its distance from no guidance, and what the user adds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...core.errors import UserError, no_parameter
from ...guidance.method import METHODS

#: Distances from no guidance that a scale is tried at, on a logarithmic axis.
STRENGTHS = (0.025, 2.0)
NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"


@dataclass(frozen=True)
class Axis:
    """One parameter of a search.

    Attributes:
        low: smallest value tried.
        high: largest value tried.
        neutral: the value that means no guidance: values are spread evenly in the logarithm of the distance from it.
            None: evenly in the value.
    """

    low: float
    high: float
    neutral: float | None = None

    def value(self, place: float) -> float:
        """The value at a place in 0..1, to four decimals as people type it."""
        if self.neutral is None:
            return round(self.low + place * (self.high - self.low), 4)
        near, far = math.log(self.low - self.neutral), math.log(self.high - self.neutral)
        return round(self.neutral + math.exp(near + place * (far - near)), 4)

    def as_dict(self) -> dict[str, float]:
        """Plain values; the neutral one only where there is one."""
        return {k: v for k, v in vars(self).items() if v is not None}


def search_space(method: str, words: str = "") -> dict[str, Axis]:
    """The axes of a method's search.

    Args:
        method: registered name.
        words: ``scale:1.1..3,high:0.3..1``; "": every parameter that is a scale by its name (``scale``,
            ``cfg_scale``, ...), at distances of 0.025 to 2 from the value that means no guidance.

    Raises:
        UserError: a parameter that the method does not have or that is no number, an ill-formed range, or a method
            without scales and no words.
    """
    parameters = {p.name: p for p in METHODS.parameters(method)}
    cls: Any = METHODS.entry(method).cls
    neutral: Mapping[str, Any] = cls.neutral
    if words:
        axes = [_axis(method, word, parameters, neutral) for word in words.split(",")]
        named = [name for name, _ in axes]
        if len(set(named)) < len(named):
            raise UserError(f"search={words[:60]!r} names a parameter twice")
        return dict(axes)
    found = {}
    for name, parameter in parameters.items():
        if (name == "scale" or name.endswith("_scale") or name == "strength") and isinstance(parameter.default, float):
            zero = float(neutral.get(name, 0.0 if name == "strength" else 1.0))
            near, far = (zero + strength for strength in STRENGTHS)
            if parameter.low <= near and far <= parameter.high:
                found[name] = Axis(near, far, zero)
    if not found:
        raise UserError(f"method {method!r} has no scale to tune: say what to search, search=NAME:LOW..HIGH")
    return found


def _axis(method: str, word: str, parameters: Mapping[str, Any], neutral: Mapping[str, Any]) -> tuple[str, Axis]:
    match = re.fullmatch(rf"\s*(\w+):({NUMBER})\.\.({NUMBER})\s*", word[:200])
    if not match:
        raise UserError(f"search={word[:60]!r} is not NAME:LOW..HIGH (several with commas between)")
    name, low, high = match[1], float(match[2]), float(match[3])
    if name not in parameters:
        raise no_parameter(f"method {method!r}", name, list(parameters))
    parameter = parameters[name]
    if isinstance(parameter.default, bool) or not isinstance(parameter.default, (float, int)):
        raise UserError(f"search={word[:60]!r}: {name} of method {method!r} is no number to search over")
    if not parameter.low <= low < high <= parameter.high:
        raise UserError(f"search={word[:60]!r} is not inside [{parameter.low:g}, {parameter.high:g}], low before high")
    zero = neutral.get(name)
    if isinstance(zero, (int, float)) and low > zero and name not in ("low", "high"):
        return name, Axis(low, high, float(zero))
    return name, Axis(low, high)
