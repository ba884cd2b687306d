"""Paired tests of few differences, Holm's correction, and compact letters.

All methods of a benchmark share networks, labels and noise of a seed, so the differences of a metric seed by seed vary
much less than the metric. Simulation (20,000 draws, 5 %, differences of three seeds, normal) chose the test: the paired
t errs in 5 % of the cases and finds a difference of four standard deviations in 72 %; the exact sign-flip permutation
cannot reach 5 % below six seeds (its smallest p is 2 / 2^n), from where it is shown beside. Values
held out are not quite independent: where one method is the best of 20 equal settings on five seeds, the test errs in
8 % of the cases (15 % for the best setting's own values).
"""

from __future__ import annotations

import itertools
import math
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

#: Chance of calling two equal methods different.
LEVEL = 0.05
#: Sign flips beyond this number of pairs are drawn, not all tried.
EXACT = 16


@dataclass(frozen=True)
class Difference:
    """A against B.

    Attributes:
        pairs: number of seeds that both have.
        mean: of a - b.
        low: of the 95 % interval of the mean (Student's t); NaN below two pairs.
        high: its other end.
        p: paired t, two-sided; NaN below two pairs.
        p_flip: exact sign-flip permutation, two-sided; NaN below two pairs.
    """

    pairs: int
    mean: float
    low: float
    high: float
    p: float
    p_flip: float


def paired(a: Mapping[int, float], b: Mapping[int, float]) -> Difference:
    """Compare two sets of values by their common seeds.

    Differences that are all the same number have no spread to judge by: p is 1 where it is zero, else that of the
    sign flips.
    """
    from scipy import stats

    seeds = [seed for seed in a if seed in b and math.isfinite(a[seed]) and math.isfinite(b[seed])]
    differences = np.array([a[seed] - b[seed] for seed in sorted(seeds)])
    mean = float(differences.mean()) if seeds else math.nan
    if len(seeds) < 2:
        return Difference(len(seeds), mean, math.nan, math.nan, math.nan, math.nan)
    flip = sign_flip(differences)
    error = float(differences.std(ddof=1)) / math.sqrt(len(seeds))
    if error <= 1e-12 * abs(mean) or error == 0:
        return Difference(len(seeds), mean, mean, mean, flip, flip)
    half = float(stats.t.ppf(1 - LEVEL / 2, len(seeds) - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, len(seeds) - 1))
    return Difference(len(seeds), mean, mean - half, mean + half, p, flip)


def sign_flip(differences: Sequence[float] | np.ndarray) -> float:
    """Two-sided p of the mean difference under all changes of sign (2^n; 65,536 drawn ones beyond 16 pairs)."""
    values = np.asarray(differences, dtype=np.float64)
    if len(values) <= EXACT:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(values))))
    else:
        drawn = np.random.default_rng(0).integers(0, 2, (2**EXACT - 1, len(values))) * 2.0 - 1
        signs = np.concatenate([np.ones((1, len(values))), drawn])
    sums = np.abs(signs @ values)
    return float(np.mean(sums >= abs(values.sum()) * (1 - 1e-12)))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction: p adjusted for the number of tests (NaN stays and does not count)."""
    order = sorted((i for i, value in enumerate(p) if math.isfinite(value)), key=lambda i: p[i])
    adjusted, running = [math.nan] * len(p), 0.0
    for rank, place in enumerate(order):
        running = max(running, min(1.0, (len(order) - rank) * p[place]))
        adjusted[place] = running
    return adjusted


def tie_letters(values: Mapping[str, Mapping[int, float]]) -> dict[str, str]:
    """Compact letters: two that share a letter cannot be told apart (paired t, Holm over all pairs, 5 %).

    Args:
        values: by seed, of each method, the best method first.
    """
    names = list(values)
    pairs = list(itertools.combinations(names, 2))
    adjusted = holm([paired(values[a], values[b]).p for a, b in pairs])
    return letters(names, [pair for pair, p in zip(pairs, adjusted, strict=True) if p < LEVEL])


def letters(names: Sequence[str], different: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Letters such that exactly the pairs in ``different`` share none (insert and absorb, Piepho 2004)."""
    groups: list[frozenset[str]] = [frozenset(names)]
    for a, b in different:
        parted = [part for g in groups for part in ((g - {a}, g - {b}) if a in g and b in g else (g,))]
        groups = [g for i, g in enumerate(parted) if not any(g < o or (g == o and j < i) for j, o in enumerate(parted))]
    place = {name: i for i, name in enumerate(names)}
    groups.sort(key=lambda group: sorted(place[name] for name in group))
    return {name: "".join(_letter(i) for i, group in enumerate(groups) if name in group) for name in names}


def _letter(number: int) -> str:
    signs = string.ascii_lowercase
    return signs[number] if number < len(signs) else f"({number + 1})"
