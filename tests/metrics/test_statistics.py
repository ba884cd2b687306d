"""Streaming mean and covariance against one shot."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from guidance_bench.core.errors import UserError
from guidance_bench.metrics import StreamingStatistics, feature_statistics


def features(offset=0.0):
    return np.random.default_rng(0).standard_normal((1000, 12)) @ np.diag(np.linspace(0.5, 2, 12)) + offset


def stream(x, sizes):
    statistics, start = StreamingStatistics(), 0
    for size in sizes:
        statistics.update(x[start : start + size])
        start += size
    assert start == len(x)
    return statistics


@pytest.mark.parametrize("sizes", [[1000], [1] * 1000, [3, 997], [997, 3], [250] * 4, [0, 400, 0, 600]])
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_any_split_equals_one_shot(sizes, offset):
    x = features(offset)
    mean, cov = stream(x, sizes).result()
    exact = features(0.0)  # the covariance does not know of the offset
    assert np.abs(mean - x.mean(axis=0)).max() <= 1e-12 * max(1, offset)
    assert np.abs(cov - np.cov(x, rowvar=False)).max() <= 1e-12
    assert np.abs(cov - np.cov(exact, rowvar=False)).max() <= 1e-11


def test_processes_merge_to_one_shot():
    x = features(1e3)
    total = StreamingStatistics()
    for part in np.array_split(x, 7):
        total.merge(stream(part, [len(part) // 2, len(part) - len(part) // 2]))
    total.merge(StreamingStatistics())
    assert np.abs(total.result().cov - np.cov(x, rowvar=False)).max() <= 1e-12


def test_float32_features_are_summed_in_float64():
    x = features(1e3).astype(np.float32)
    mean, cov = feature_statistics(torch.from_numpy(x))
    assert np.abs(cov - np.cov(x.astype(np.float64), rowvar=False)).max() <= 1e-12
    assert np.abs(mean - x.astype(np.float64).mean(axis=0)).max() <= 1e-11


def test_longer_than_one_slice():
    x = np.random.default_rng(1).standard_normal((5000, 3))
    assert np.abs(feature_statistics(x).cov - np.cov(x, rowvar=False)).max() <= 1e-13


def test_bad_features_are_refused():
    with pytest.raises(UserError, match="at least 2"):
        feature_statistics(np.zeros((1, 3)))
    with pytest.raises(UserError, match=r"shape \(N, D\)"):
        feature_statistics(np.zeros(3))
    with pytest.raises(UserError, match="not finite"):
        feature_statistics(np.array([[0.0], [np.inf]]))
    with pytest.raises(UserError, match="real numbers"):
        feature_statistics(np.zeros((3, 3), complex))
    with pytest.raises(UserError, match="3 and 4 dimensions"):
        stream(np.zeros((2, 3)), [2]).merge(stream(np.zeros((2, 4)), [2]))
