"""Values by seed: the seeds that all methods have, and values of settings chosen without them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..metric_columns import Column

if TYPE_CHECKING:
    import pandas as pd


def by_seed(row: Mapping[Any, Any] | pd.Series[Any], metric: str) -> dict[int, float]:
    """A metric of an aggregated setting by seed; values that are not there are left out."""
    return {s: v for s, v in zip(row["seeds"], row[f"{metric}.values"], strict=True) if not math.isnan(v)}


def all_by_seed(settings: pd.DataFrame, metric: str) -> list[dict[int, float]]:
    """:func:`by_seed` of each row."""
    columns = settings[["seeds", f"{metric}.values"]].to_dict("records")
    return [by_seed(row, metric) for row in columns]


def shared_seeds(settings: pd.DataFrame, metric: str) -> list[int]:
    """The seeds that methods are ranked over: those that all methods have.

    A method's seeds are those with which most of its runs can be compared. Where methods share none, those
    with the fewest seeds are left aside.
    """
    own = [set(_usual(rows, metric)) for _, rows in settings.groupby("method")]
    own = sorted((seeds for seeds in own if seeds), key=len, reverse=True)
    while own and not set.intersection(*own):
        own.pop()
    return sorted(set.intersection(*own)) if own else []


def _usual(settings: pd.DataFrame, metric: str) -> frozenset[int]:
    """The set of seeds, among those that a setting has, with the most values where all settings lacking one go."""
    own = [frozenset(one) for one in all_by_seed(settings, metric)]
    return max(set(own), key=lambda seeds: (len(seeds) * sum(seeds <= one for one in own), len(seeds), sorted(seeds)))


def held_out(settings: pd.DataFrame, column: Column) -> dict[int, float]:
    """A metric by seed, of the setting that is best by its mean over all *other* seeds.

    No seed has a say in what is scored on it, so however many settings a method tries, it gains nothing by chance.

    Args:
        settings: aggregated settings of one method; those that lack a seed that most have stay out.
        column: the metric.

    Returns:
        {} where most settings have fewer than two seeds.
    """
    values = all_by_seed(settings, column.name)
    return {seed: values[place][seed] for seed, place in choice_by_seed(settings, column).items()}


def choice_by_seed(settings: pd.DataFrame, column: Column) -> dict[int, int]:
    """For each seed the place of the setting that is best on all other seeds; as :func:`held_out`."""
    seeds = sorted(_usual(settings, column.name))
    values = all_by_seed(settings, column.name)
    whole = [place for place, one in enumerate(values) if set(seeds) <= set(one)]
    if len(seeds) < 2:
        return {}

    def loss_elsewhere(place: int, seed: int) -> float:
        return column.loss(float(np.mean([values[place][other] for other in seeds if other != seed])))

    return {seed: min(whole, key=lambda place, seed=seed: loss_elsewhere(place, seed)) for seed in seeds}
