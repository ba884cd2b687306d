"""Inception Score: how sure a classifier is of each sample, and how many classes the samples cover.

Salimans et al., "Improved techniques for training GANs", arXiv 1606.03498, section 4: exp(E KL(p(y|x) || p(y))).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..core.arrays import as_matrix, slices
from ..core.errors import UserError
from ..core.parameters import param
from .base import Metric, register_metric

if TYPE_CHECKING:
    from ..features.feature_set import FeatureSet


def inception_score(logits: Any, split_size: int = 5000) -> float:
    """Mean score over consecutive splits of ``split_size`` samples in the order given, as OpenAI's evaluator.

    A short last split counts as much as the others. The number depends on the order: samples sorted by class score
    far too low, so write them shuffled.

    Args:
        logits: (N, classes) before the softmax, without the bias for Inception's own score; -inf is allowed.
        split_size: samples a split, at least 1.

    Raises:
        UserError: not a matrix, no samples, or a NaN.
    """
    rows = as_matrix(logits, "logits")
    if split_size < 1:
        raise UserError(f"split_size={split_size} must be at least 1")
    return _mean_score(rows[part] for part in slices(len(rows), split_size))


def shuffled_inception_score(logits: Any, splits: int = 10, seed: int = 2020) -> float:
    """Mean score over ``splits`` equal splits of a seeded permutation, as torch-fidelity.

    Raises:
        UserError: fewer samples than splits.
    """
    rows = as_matrix(logits, "logits", minimum=splits)
    order = np.random.RandomState(seed).permutation(len(rows))
    return _mean_score(rows[part] for part in _equal_parts(order, splits))


def _equal_parts(order: NDArray[Any], splits: int) -> Iterable[NDArray[Any]]:
    edges = [i * len(order) // splits for i in range(splits + 1)]
    return (order[start:stop] for start, stop in itertools.pairwise(edges))


def _mean_score(parts: Iterable[NDArray[Any]]) -> float:
    score = float(np.mean([_score(part.astype(np.float64)) for part in parts]))
    if not np.isfinite(score):
        raise UserError("logits hold a value that is not finite")
    return score


def _score(logits: NDArray[np.float64]) -> float:
    log_p = logits - logits.max(axis=1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    p = np.exp(log_p)
    with np.errstate(divide="ignore", invalid="ignore"):  # p log p is 0 at p = 0
        terms = np.where(p > 0, p * (log_p - np.log(p.mean(axis=0))), 0.0)
    # A NaN fails p > 0 too: let it through to the caller's check.
    return float(np.exp(terms.sum(axis=1).mean())) if np.isfinite(p).all() else float("nan")


class _Score(Metric):
    needs = ("logits",)
    against = "nothing"
    direction = "higher"

    def score(self, logits: NDArray[Any]) -> float:
        """The score of ``logits`` (N, classes)."""
        raise NotImplementedError

    def compute(self, reference: FeatureSet, samples: FeatureSet) -> dict[str, float]:
        """One column, named as the metric; the reference is not looked at."""
        self.check_space(samples)
        return {self.name: self.score(samples.array("logits"))}


@register_metric("classifier_score")
class ClassifierScore(_Score):
    """The score by whichever classifier made the logits, in splits of the given order."""

    split_size: int = param(5000, low=1, doc="samples a split, in the order of the files")
    title = "CS"
    summary = "exp of the mutual information between sample and class, by whatever classifier"

    def score(self, logits: NDArray[Any]) -> float:
        """Splits in the order given."""
        return inception_score(logits, self.split_size)


@register_metric("inception_score")
class InceptionScore(ClassifierScore):
    """Inception Score (arXiv 1606.03498) as OpenAI's evaluator: splits of 5000 in the order of the files."""

    space = "inception"
    title = "IS"
    summary = "Inception Score, splits of 5000 in the order of the files, as OpenAI's evaluator"


@register_metric("inception_score_shuffled")
class ShuffledInceptionScore(_Score):
    """Inception Score over a seeded shuffle, as torch-fidelity: does not depend on the order of the files' classes."""

    splits: int = param(10, low=1, doc="equal splits of the shuffled samples")
    seed: int = param(2020, doc="of the shuffle")
    space = "inception"
    title = "IS (shuffled)"
    summary = "Inception Score over 10 seeded shuffled splits, as torch-fidelity"

    def score(self, logits: NDArray[Any]) -> float:
        """Equal splits of a seeded permutation."""
        return shuffled_inception_score(logits, self.splits, self.seed)
