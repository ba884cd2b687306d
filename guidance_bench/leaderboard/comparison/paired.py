"""Paired tests of few differences, Holm's correction, and compact letters.

All methods of a benchmark share networks, labels and noise of a seed, so the differences of a metric seed by seed vary
much less than the metric. Simulation chose the test (three seeds, all pairs, 5 %): a paired t with Holm's correction
errs in 5 % of the boards but finds a difference of 5.6 standard deviations between two of four methods in 37 %; with
variances drawn towards their common value it errs as often and finds 96 % (50 % where the spreads of methods differ
fourfold). Positive metrics are compared by their logarithms, as a gain in percent says: beside twelve methods, three
whose distances are 2, 4 and 8 times as large and vary so many times as much leave a power of 98 % (7 % on the plain
scale, where their pairs' variances raise everybody's); without them nothing is lost. Beside three methods that are as
good and six times as noisy it errs in 7 % and finds little (8 %); variances by method instead of by pair find 70 %
there and err in 12 to 16 %, a robust fit of the common variance errs in 9 to 20 %. The exact sign-flip permutation
cannot reach 5 % below six seeds (its smallest p is 2 / 2^n); it is shown where two are compared. Values held out are
not quite independent: where one method is the best of 20 equal settings on five seeds, a single test errs in 8 % of the
cases (15 % for the best setting's own values).
"""

from __future__ import annotations

import itertools
import math
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

#: What readers of a leaderboard are told of the test; a test repeats the simulation.
HOW = (
    "Methods share networks, labels and noise of a seed, so their differences are taken seed by seed, of the "
    "logarithm where the metric is positive. The test was chosen by simulation (three seeds, four methods, all pairs, "
    "5 %): the moderated paired t with Holm's correction calls equal methods different in 5 % of the boards and finds "
    "a difference of 5.6 standard deviations in 96 % (in 50 % where the spreads of methods differ fourfold); a plain "
    "paired t finds it in 37 %, the exact sign-flip permutation never (its smallest p with three seeds is 0.25). "
    "Beside three methods that are 2, 4 and 8 times worse and vary so many times as much, one of twelve others is "
    "told from the rest in 98 % (7 % without the logarithm); beside three that are as good and six times as noisy in "
    "8 %, with 7 % of errors. Where each method's setting is the best of 20 equal ones on five seeds, a single test "
    "of held-out values errs in 8 %. Tied means that so few seeds tell no difference, not that there is none."
)
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
    from scipy import special

    seeds = [seed for seed in a if seed in b and math.isfinite(a[seed]) and math.isfinite(b[seed])]
    differences = np.array([a[seed] - b[seed] for seed in sorted(seeds)])
    mean = float(differences.mean()) if seeds else math.nan
    if len(seeds) < 2:
        return Difference(len(seeds), mean, math.nan, math.nan, math.nan, math.nan)
    flip = sign_flip(differences)
    error = float(differences.std(ddof=1)) / math.sqrt(len(seeds))
    if error <= 1e-12 * abs(mean) or error == 0:
        return Difference(len(seeds), mean, mean, mean, flip, flip)
    half = float(special.stdtrit(len(seeds) - 1, 1 - LEVEL / 2)) * error
    p = 2 * student_tail(abs(mean) / error, len(seeds) - 1)
    return Difference(len(seeds), mean, mean - half, mean + half, p, flip)


def student_tail(t: float, freedom: float) -> float:
    """The chance of a value above t in Student's distribution (that of scipy.stats, which takes 0.5 s to import)."""
    from scipy import special

    return float(special.stdtr(freedom, -t))


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
    """Compact letters: two that share a letter cannot be told apart (moderated paired t of the logarithms where all
    values are positive, Holm over all pairs, 5 %).

    Args:
        values: by seed, of each method, the best method first.
    """
    names, scaled = list(values), dict(zip(values, log_scale(list(values.values())), strict=True))
    pairs = list(itertools.combinations(names, 2))
    adjusted = holm(moderated([(scaled[a], scaled[b]) for a, b in pairs], len(names)))
    return letters(names, [pair for pair, p in zip(pairs, adjusted, strict=True) if p < LEVEL])


def log_scale(values: Sequence[Mapping[int, float]]) -> list[dict[int, float]]:
    """Logarithms by seed, so that differences are relative; the values themselves where one is not positive."""
    positive = all(value > 0 for own in values for value in own.values())
    return [{seed: math.log(value) if positive else value for seed, value in own.items()} for own in values]


def moderated(pairs: Sequence[tuple[Mapping[int, float], Mapping[int, float]]], methods: int) -> list[float]:
    """Two-sided p of each pair by a paired t whose variance is drawn towards that of all pairs (Smyth 2004, limma).

    How far is estimated from the pairs: where their variances differ no more than chance, all are taken for one; where
    they differ much, or for a single pair, each stands for itself. Degrees of freedom are at most
    (methods - 1) (seeds - 1), those of a block design.
    """
    from scipy import special

    found = [sorted(set(a) & set(b)) for a, b in pairs]
    rows = [np.array([a[s] - b[s] for s in seeds]) for (a, b), seeds in zip(pairs, found, strict=True)]
    free = np.array([len(row) - 1 for row in rows])
    variances = np.array([row.var(ddof=1) if len(row) > 1 else math.nan for row in rows])
    usable = variances > 0
    prior, centre = 0.0, 0.0
    if usable.sum() > 2:
        half = free[usable] / 2
        logs = np.log(variances[usable]) - special.digamma(half) + np.log(half)
        excess = float(logs.var(ddof=1) - special.polygamma(1, half).mean())
        prior = 2 * _inverse_trigamma(excess) if excess > 1e-6 else 1e6
        centre = math.exp(float(logs.mean()) + special.digamma(prior / 2) - math.log(prior / 2))
    result = []
    for row, d, variance in zip(rows, free, variances, strict=True):
        if d < 1:
            result.append(math.nan)
            continue
        error = math.sqrt((prior * centre + d * variance) / (prior + d) / (d + 1))
        if error == 0:
            result.append(sign_flip(row))
            continue
        result.append(2 * student_tail(abs(row.mean()) / error, min(prior + d, max(methods - 1, 1) * d)))
    return result


def _inverse_trigamma(value: float) -> float:
    """x with trigamma(x) = value."""
    from scipy import optimize, special

    return float(optimize.brentq(lambda x: float(special.polygamma(1, x)) - value, 1e-4, 1e7))


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
