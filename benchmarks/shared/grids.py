"""Grids: the settings that a line-up tries of each method.

A sweep runs over a method's *strength*: how far its swept parameter is from the value that means no guidance. So one
list of strengths gives every method the same number of settings over the same range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from guidance_bench.experiments.benchmark import Setting

#: Every setting of a method.
Grid = list[dict[str, Any]]


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


def settings(grids: Mapping[str, Grid]) -> list[Setting]:
    """``none`` and every point of every method's grid."""
    return [
        Setting("none", {}),
        *(Setting(method, dict(point)) for method, points in grids.items() for point in points),
    ]
