"""Metric columns of a table: which metric in which feature space, which way is better, how its numbers are printed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..core.errors import UserError
from ..experiments.record_schema import RESERVED
from .registered.look_up import registered

if TYPE_CHECKING:
    import pandas as pd

#: Order in which papers print these metrics; others follow by name.
ORDER = ("fid", "frechet_distance", "sfid", "kid", "inception_score", "classifier_score", "precision", "recall")
#: Words of feature-space names that are written their own way.
SPELLING = {"cnn": "CNN", "dinov2": "DINOv2", "clip": "CLIP", "vit": "ViT", "inception": "Inception"}


@dataclass(frozen=True)
class Column:
    """A metric as a column.

    Attributes:
        name: in the record, with the suffix of the feature space.
        base: the same without the suffix.
        title: short title, such as "FD".
        space: readable name of the feature space; "" where the metric's own title says it (FID).
        direction: which way is better; "" for a metric that is not registered here.
    """

    name: str
    base: str
    title: str
    space: str
    direction: Literal["lower", "higher", ""]

    @property
    def arrow(self) -> str:
        """Which way is better, as a sign."""
        return {"lower": "↓", "higher": "↑", "": ""}[self.direction]

    @property
    def heading(self) -> str:
        """The title with feature space and direction: ``FD (digits CNN) ↓``."""
        return f"{self.label} {self.arrow}".strip()

    @property
    def label(self) -> str:
        """The title with its feature space."""
        return f"{self.title} ({self.space})" if self.space else self.title

    def loss(self, value: float) -> float:
        """The value turned so that less is better.

        Raises:
            UserError: nobody knows which way is better.
        """
        if not self.direction:
            known = ", ".join(sorted(registered().metrics))
            raise UserError(f"cannot rank by {self.name!r}: no registered metric tells its direction (known: {known})")
        return value if self.direction == "lower" else -value


def column_of(name: str, evaluator: str) -> Column:
    """The column called ``name`` in records of a feature space; titles and directions are those of the registry."""
    base = name.removesuffix(f"_{evaluator}")
    space = readable_space(evaluator) if base != name else ""
    titles = _titles()
    known = max((t for t in titles if f"{base}_".startswith(f"{t}_")), key=len, default=None)
    if known is None:
        return Column(name, base, base.replace("_", " "), space, "")
    title, direction = titles[known]
    variant = base[len(known) :].replace("_", " ")
    return Column(name, base, f"{title}{variant}", space, direction)


def readable_space(evaluator: str) -> str:
    """The name of a feature space as one writes it: ``digits_cnn`` is "digits CNN"."""
    return " ".join(SPELLING.get(word, word) for word in evaluator.split("_"))


def _titles() -> dict[str, tuple[str, Literal["lower", "higher"]]]:
    """Titles and directions by column name; one registry row may fill several columns ("Precision, recall")."""
    titles: dict[str, tuple[str, Literal["lower", "higher"]]] = {}
    for name, metric in registered().metrics.items():
        parts = metric.title.split(", ")
        if len(parts) == 1:
            titles[name] = (metric.title, metric.direction)
        else:
            titles |= {part.lower(): (part.capitalize(), metric.direction) for part in parts}
    return titles


def metric_columns(frame: pd.DataFrame) -> list[Column]:
    """The metrics that the rows of one protocol hold, in the order in which papers print them.

    A metric is known by its ``<metric>.sd`` companion.
    """
    evaluator = str(frame["evaluator"].iloc[0])
    known = [n.removesuffix(".sd") for n in map(str, frame.columns) if n.endswith(".sd")]
    names = [n for n in known if n not in RESERVED and n in frame.columns and frame[n].notna().any()]
    return sorted((column_of(name, evaluator) for name in names), key=_rank)


def _rank(column: Column) -> tuple[int, str]:
    return (ORDER.index(column.base) if column.base in ORDER else len(ORDER), column.name)


def decimals(values: Iterable[float]) -> int:
    """Decimals for a column of means: three significant digits of the smallest, at least three for shares of one."""
    sizes = [abs(v) for v in values if math.isfinite(v) and v]
    if not sizes:
        return 3
    digits = 2 - math.floor(math.log10(min(sizes)))
    return min(max(digits, 3), 5) if max(sizes) <= 1 else min(max(digits, 1), 3)


def format_means(means: Sequence[float], spreads: Sequence[float] = ()) -> list[str]:
    """``mean ± sd`` for each pair, with equal decimals; a NaN spread (one seed) is left out, a NaN mean is a dash."""
    places = decimals(means)
    spreads = spreads or [math.nan] * len(means)
    return [_pair(mean, spread, places) for mean, spread in zip(means, spreads, strict=True)]


def _pair(mean: float, spread: float, places: int) -> str:
    if not math.isfinite(mean):
        return "-"
    return f"{mean:.{places}f} ± {spread:.{places}f}" if math.isfinite(spread) else f"{mean:.{places}f}"
