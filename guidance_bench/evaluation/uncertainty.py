"""How far a metric can be trusted: several draws, one draw cut into blocks, two methods on the same seeds.

The advice behind these functions: quote mean and standard deviation over independent draws of samples; with a single
draw, the block jackknife; for the difference of two methods, pair them by seed or by sample. A bootstrap of the
generated samples would add FID's bias a second time and is not offered.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.errors import UserError
from ..features.feature_set import FeatureSet

#: A metric of a set of samples, its reference fixed.
Value = Callable[[FeatureSet], float]


@dataclass(frozen=True)
class Draws:
    """A metric over independent draws of samples.

    Attributes:
        values: one a draw.
        mean: of the values.
        sd: their standard deviation (ddof 1), None for one draw.
        minimum_of_three: the smallest of the first three, as some papers report; None for fewer. It lies about 0.85
            standard deviations below the mean, so it compares with nothing but another minimum of three.
    """

    values: tuple[float, ...]
    mean: float
    sd: float | None
    minimum_of_three: float | None


def summarise(values: Sequence[float]) -> Draws:
    """Mean, spread and minimum of three of ``values``.

    Raises:
        UserError: no values, or one that is not finite.
    """
    if not values or not np.isfinite(values).all():
        raise UserError(f"draws must be finite numbers, at least one; they are {list(values)}")
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Draws(tuple(values), float(np.mean(values)), sd, min(values[:3]) if len(values) >= 3 else None)


@dataclass(frozen=True)
class Jackknife:
    """A metric of one draw with its error.

    Attributes:
        value: of all samples.
        corrected: without the bias of first order in 1/N.
        error: standard error of both, nearly.
    """

    value: float
    corrected: float
    error: float


def block_jackknife(value: Value, samples: FeatureSet, blocks: int = 20) -> Jackknife:
    """Delete-one-block jackknife of ``value`` (Kuensch 1989, with blocks that do not overlap).

    Args:
        value: the metric, computed ``blocks`` + 1 times.
        samples: in an order without structure; blocks are consecutive.
        blocks: at least 2.

    Raises:
        UserError: fewer than two blocks, or fewer samples than blocks.
    """
    return _jackknife(value(samples), [value(samples.subset(kept)) for kept in _without_each(samples.count, blocks)])


@dataclass(frozen=True)
class Difference:
    """Metric of a minus metric of b, on samples that share their seeds.

    Attributes:
        value: the difference.
        error: its standard error; smaller than that of either where pairing helps.
    """

    value: float
    error: float

    @property
    def sigmas(self) -> float:
        """The difference in units of its error; beyond about 2 it is unlikely to be chance."""
        return self.value / self.error if self.error else math.copysign(math.inf, self.value) if self.value else 0.0


def paired_difference(value: Value, a: FeatureSet, b: FeatureSet, blocks: int = 20) -> Difference:
    """Compare two methods on the same noise: sample i of ``a`` and of ``b`` come from the same seed and label.

    The same blocks are deleted from both, so what the two share drops out of the error.

    Raises:
        UserError: different numbers of samples, or as :func:`block_jackknife`.
    """
    if a.count != b.count:
        raise UserError(f"a paired comparison needs as many samples of each; there are {a.count} and {b.count}")
    left_out = [value(a.subset(kept)) - value(b.subset(kept)) for kept in _without_each(a.count, blocks)]
    return Difference(value(a) - value(b), _jackknife(0.0, left_out).error)


def paired_draws(a: Sequence[float], b: Sequence[float]) -> Difference:
    """Compare two methods over several draws, a[i] and b[i] made from the same seed.

    Raises:
        UserError: different numbers of draws, or fewer than two.
    """
    if len(a) != len(b) or len(a) < 2:
        raise UserError(f"a paired comparison needs the same 2 or more seeds of each; there are {len(a)} and {len(b)}")
    differences = summarise([x - y for x, y in zip(a, b, strict=True)])
    assert differences.sd is not None
    return Difference(differences.mean, differences.sd / math.sqrt(len(a)))


def _without_each(count: int, blocks: int) -> Iterator[NDArray[np.int64]]:
    if not 2 <= blocks <= count:
        raise UserError(f"blocks={blocks} must lie between 2 and the {count} samples")
    index = np.arange(count)
    for block in np.array_split(index, blocks):
        yield np.delete(index, block)


def _jackknife(value: float, left_out: Sequence[float]) -> Jackknife:
    blocks, mean = len(left_out), float(np.mean(left_out))
    error = math.sqrt((blocks - 1) / blocks * sum((v - mean) ** 2 for v in left_out))
    return Jackknife(value, blocks * value - (blocks - 1) * mean, error)
