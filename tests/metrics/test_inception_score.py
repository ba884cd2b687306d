"""Inception Score against closed forms; its dependence on the order of the samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from guidance_bench.core.errors import UserError
from guidance_bench.features.feature_set import FeatureSet
from guidance_bench.metrics import inception_score, shuffled_inception_score
from guidance_bench.metrics.base import METRICS


def confident(classes, each, q=0.9):
    """Logits (classes * each, classes) that give each class in turn the probability q."""
    p = np.full((classes, classes), (1 - q) / (classes - 1))
    np.fill_diagonal(p, q)
    return np.log(np.tile(p, (each, 1)))


def test_one_answer_for_all_scores_one():
    assert inception_score(np.tile([0.3, -1.0, 2.0], (100, 1))) == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("zero", [-np.inf, -1e4])
def test_certain_and_balanced_scores_the_number_of_classes(zero):
    logits = np.where(np.tile(np.eye(7), (10, 1)) == 1, 0.0, zero)
    assert inception_score(logits) == pytest.approx(7, rel=1e-13)


def test_confident_and_balanced_has_the_closed_form():
    q, c = 0.9, 100
    expected = math.exp(math.log(c) + q * math.log(q) + (1 - q) * math.log((1 - q) / (c - 1)))
    assert expected == pytest.approx(45.6304486657457, rel=1e-13)
    assert inception_score(confident(c, 50)) == pytest.approx(expected, rel=1e-12)


def test_samples_sorted_by_class_score_far_too_low():
    logits = confident(100, 50)
    order = np.argsort(np.tile(np.arange(100), 50), kind="stable")
    assert inception_score(logits[order], split_size=500) == pytest.approx(7.55624, abs=5e-6)
    assert shuffled_inception_score(logits[order]) == pytest.approx(42, abs=1)


def test_last_short_split_counts_as_much():
    logits = np.random.default_rng(0).standard_normal((70, 5))
    parts = [inception_score(part) for part in (logits[:30], logits[30:60], logits[60:])]
    assert inception_score(logits, split_size=30) == pytest.approx(np.mean(parts), rel=1e-14)


def test_shift_of_logits_changes_nothing():
    logits = np.random.default_rng(1).standard_normal((70, 5))
    assert inception_score(logits + 1e3) == pytest.approx(inception_score(logits), rel=1e-10)
    assert inception_score(torch.from_numpy(logits)) == inception_score(logits)


@pytest.mark.parametrize("count", [200, 203])
def test_shuffled_splits_agree_with_torch_fidelity(count):
    from torch_fidelity.metric_isc import isc_features_to_metric

    logits = torch.from_numpy(np.random.default_rng(2).standard_normal((count, 6)))
    expected = isc_features_to_metric(logits, splits=10, shuffle=True, rng_seed=2020)["inception_score_mean"]
    assert shuffled_inception_score(logits) == pytest.approx(expected, rel=1e-13)


def test_rows_of_the_registry():
    logits = confident(10, 20)
    samples = FeatureSet({"logits": logits, "labels": np.tile(np.arange(10), 20)}, space="inception")
    empty = FeatureSet({}, space="inception")
    assert METRICS.create("inception_score").compute(empty, samples)["inception_score"] == inception_score(logits)
    split = METRICS.create("classifier_score", split_size=50).compute(empty, samples)["classifier_score"]
    assert split == inception_score(logits, 50)
    assert METRICS.create("label_accuracy").compute(empty, samples) == {"label_accuracy": 1.0}
    wrong = FeatureSet({"logits": logits, "labels": np.repeat(np.arange(10), 20)})
    assert METRICS.create("label_accuracy").compute(empty, wrong) == {"label_accuracy": pytest.approx(0.1)}


def test_bad_logits_are_refused():
    with pytest.raises(UserError, match="not finite"):
        inception_score(np.array([[0.0, np.nan], [0.0, 1.0]]))
    with pytest.raises(UserError, match="split_size=0"):
        inception_score(np.zeros((2, 2)), split_size=0)
    with pytest.raises(UserError, match="at least 10"):
        shuffled_inception_score(np.zeros((9, 2)))
    with pytest.raises(UserError, match="has no 'logits'"):
        METRICS.create("inception_score").compute(FeatureSet({}), FeatureSet({}, space="inception"))
