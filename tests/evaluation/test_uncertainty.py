"""Errors of metrics, where the truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from guidance_bench.cli.experiments.evaluate import table
from guidance_bench.core.errors import UserError
from guidance_bench.evaluation.evaluate import Evaluation
from guidance_bench.evaluation.uncertainty import block_jackknife, paired_difference, paired_draws, summarise
from guidance_bench.features.feature_set import FeatureSet
from guidance_bench.metrics import frechet_distance


def samples(rng, n=400, shift=0.0):
    return FeatureSet({"features": rng.standard_normal((n, 4)) + shift})


def mean_of_first(features):
    return float(features.array("features")[:, 0].mean())


def distance_to_truth(features):
    return frechet_distance(np.zeros(4), np.eye(4), *features.statistics("features"))


def test_summary():
    draws = summarise([3.0, 1.0, 2.0, 0.0])
    assert (draws.mean, draws.minimum_of_three) == (1.5, 1.0)
    assert draws.sd == pytest.approx(math.sqrt(5 / 3))
    assert (summarise([2.0]).sd, summarise([2.0, 1.0]).minimum_of_three) == (None, None)
    for values in ([], [1.0, math.nan]):
        with pytest.raises(UserError, match="finite numbers"):
            summarise(values)


def test_jackknife_of_a_mean_with_blocks_of_one_is_the_textbook_error():
    features = samples(np.random.default_rng(0), 30)
    x = features.array("features")[:, 0]
    result = block_jackknife(mean_of_first, features, blocks=30)
    assert result.error == pytest.approx(x.std(ddof=1) / math.sqrt(30), rel=1e-12)
    assert result.value == pytest.approx(x.mean())
    assert result.corrected == pytest.approx(x.mean())


def test_jackknife_removes_the_bias_of_the_frechet_distance():
    rng = np.random.default_rng(1)
    results = [block_jackknife(distance_to_truth, samples(rng), 10) for _ in range(40)]
    raw, corrected = (np.array([getattr(r, name) for r in results]) for name in ("value", "corrected"))
    assert abs(corrected.mean()) < 3 * corrected.std(ddof=1) / math.sqrt(40)
    assert raw.mean() > 10 * abs(corrected.mean())


def test_jackknife_error_is_about_right_away_from_equality():
    rng = np.random.default_rng(2)
    results = [block_jackknife(distance_to_truth, samples(rng, shift=1.0), 10) for _ in range(60)]
    spread = np.std([r.value for r in results], ddof=1)
    assert np.mean([r.error for r in results]) == pytest.approx(spread, rel=0.25)


def test_paired_difference_drops_what_both_share():
    rng = np.random.default_rng(3)
    shared = rng.standard_normal((400, 4))
    a = FeatureSet({"features": shared + 0.5 + 0.02 * rng.standard_normal((400, 4))})
    b = FeatureSet({"features": shared + 0.45 + 0.02 * rng.standard_normal((400, 4))})
    paired = paired_difference(distance_to_truth, a, b)
    single = block_jackknife(distance_to_truth, a)
    assert paired.value == pytest.approx(distance_to_truth(a) - distance_to_truth(b))
    assert paired.error < 0.2 * single.error
    assert paired.sigmas > 5


def test_a_method_does_not_differ_from_itself():
    a = samples(np.random.default_rng(4))
    result = paired_difference(distance_to_truth, a, a)
    assert (result.value, result.error, result.sigmas) == (0, 0, 0)


def test_paired_draws():
    result = paired_draws([3.0, 5.0, 4.0], [2.0, 3.0, 1.0])
    assert result.value == 2
    assert result.error == pytest.approx(1 / math.sqrt(3))
    assert result.sigmas == pytest.approx(2 * math.sqrt(3))


def test_what_cannot_be_compared_is_refused():
    rng = np.random.default_rng(5)
    with pytest.raises(UserError, match="400 and 300"):
        paired_difference(distance_to_truth, samples(rng), samples(rng, 300))
    with pytest.raises(UserError, match="1 and 2"):
        paired_draws([1.0], [1.0, 2.0])
    for blocks in (1, 401):
        with pytest.raises(UserError, match=f"blocks={blocks} must lie between 2 and the 400 samples"):
            block_jackknife(mean_of_first, samples(rng), blocks)


def test_the_best_of_three_is_told_where_lower_is_better_alone():
    draws = {name: summarise([3.0, 1.0, 2.0]) for name in ("fid", "inception_score", "recall")}
    text = table(Evaluation(draws, {}, {}, {}, [], 0.0)).splitlines()
    assert ["min of 3" in line for line in text] == [True, False, False]
