"""Frechet distance against closed forms, invariances, its own bias and torch-fidelity."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from guidance_bench.core.errors import UserError
from guidance_bench.features.feature_set import FeatureSet
from guidance_bench.metrics import (
    feature_statistics,
    fid,
    frechet_distance,
    frechet_distance_from_features,
    kernel_distance,
    kid,
)
from guidance_bench.metrics.base import METRICS
from guidance_bench.metrics.fid import frechet_distance_of_few


def rotation(rng, d):
    return np.linalg.qr(rng.standard_normal((d, d)))[0]


def covariance(rng, d, rank=None):
    x = rng.standard_normal((rank or 3 * d, d))
    return x.T @ x / len(x)


def test_commuting_covariances_have_the_closed_form():
    rng = np.random.default_rng(0)
    r, a, b, dm = rotation(rng, 6), rng.random(6) + 0.1, rng.random(6) + 0.1, rng.standard_normal(6)
    expected = dm @ dm + np.square(np.sqrt(a) - np.sqrt(b)).sum()
    got = frechet_distance(np.zeros(6), (r * a) @ r.T, dm, (r * b) @ r.T)
    assert got == pytest.approx(expected, rel=1e-12)


def test_two_by_two_covariances_that_do_not_commute():
    got = frechet_distance(np.zeros(2), np.array([[2.0, 1], [1, 2]]), np.zeros(2), np.diag([3.0, 1]))
    assert got == pytest.approx(0.516685226452117, rel=1e-13)


@pytest.mark.parametrize("rank", [None, 5], ids=["full rank", "singular"])
def test_distance_to_itself_is_zero(rank):
    cov = covariance(np.random.default_rng(1), 20, rank)
    assert frechet_distance(np.ones(20), cov, np.ones(20), cov) <= 1e-9 * np.trace(cov)


@pytest.mark.parametrize("rank", [None, 7], ids=["full rank", "singular"])
def test_symmetry_rotation_and_scale(rank):
    rng = np.random.default_rng(2)
    a, b, m, n = covariance(rng, 12, rank), covariance(rng, 12), rng.standard_normal(12), rng.standard_normal(12)
    r = rotation(rng, 12)
    d = frechet_distance(m, a, n, b)
    assert frechet_distance(n, b, m, a) == pytest.approx(d, rel=1e-9)
    assert frechet_distance(r @ m, r @ a @ r.T, r @ n, r @ b @ r.T) == pytest.approx(d, rel=1e-9)
    assert frechet_distance(3 * m, 9 * a, 3 * n, 9 * b) == pytest.approx(9 * d, rel=1e-9)


def gram_distance(x, y):
    """Exact for any N: the nuclear norm of the centred cross products."""
    xc, yc = x - x.mean(0), y - y.mean(0)
    nuclear = np.linalg.svd(xc @ yc.T, compute_uv=False).sum() / math.sqrt((len(x) - 1) * (len(y) - 1))
    dm = x.mean(0) - y.mean(0)
    return dm @ dm + np.trace(np.cov(x.T)) + np.trace(np.cov(y.T)) - 2 * nuclear


@pytest.mark.parametrize(("n", "m"), [(40, 50), (40, 400), (400, 40), (400, 300)])
def test_fewer_samples_than_dimensions(n, m):
    rng = np.random.default_rng(3)
    scales = np.exp(-np.arange(128) / 20)
    x, y = rng.standard_normal((n, 128)) * scales, rng.standard_normal((m, 128)) * scales * 1.1 + 0.1
    expected = gram_distance(x, y)
    from_covariances = frechet_distance(*feature_statistics(x), *feature_statistics(y))
    assert from_covariances == pytest.approx(expected, rel=1e-9)
    assert frechet_distance_from_features(x, y) == pytest.approx(expected, rel=1e-9)


def test_nearly_singular_covariance():
    rng = np.random.default_rng(4)
    r, values = rotation(rng, 30), np.logspace(0, -14, 30)
    a = (r * values) @ r.T
    assert frechet_distance(np.zeros(30), a, np.zeros(30), a) <= 1e-9 * np.trace(a)
    assert frechet_distance(np.zeros(30), a, np.zeros(30), 4 * a) == pytest.approx(np.trace(a), rel=1e-9)


def test_constant_features():
    x = np.ones((10, 4))
    assert frechet_distance_from_features(x, x) == 0
    assert frechet_distance(*feature_statistics(x), *feature_statistics(x + 2)) == pytest.approx(16)


def test_bias_of_finite_samples():
    """Second-order expansion at equality: trS/N + sum_ij l_i l_j (1 + d_ij) / (l_i + l_j) / (2 (N - 1))."""
    rng = np.random.default_rng(5)
    d, n, draws = 16, 500, 400
    spectrum = np.linspace(0.2, 2, d)
    pairs = np.outer(spectrum, spectrum) / np.add.outer(spectrum, spectrum) * (1 + np.eye(d))
    expected = spectrum.sum() / n + pairs.sum() / (2 * (n - 1))
    values = [
        frechet_distance(
            np.zeros(d), np.diag(spectrum), *feature_statistics(rng.standard_normal((n, d)) * spectrum**0.5)
        )
        for _ in range(draws)
    ]
    assert abs(np.mean(values) - expected) < 3 * np.std(values, ddof=1) / math.sqrt(draws)
    assert 3 * np.std(values) / math.sqrt(draws) < 0.05 * expected  # the test can see a bias that is 5 % off


def test_agrees_with_torch_fidelity():
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((300, 64)), rng.standard_normal((200, 64)) * 1.2 + 0.1
    stats = (fid_features_to_statistics(torch.from_numpy(f)) for f in (x, y))
    expected = fid_statistics_to_metric(*stats, False)["frechet_inception_distance"]
    assert frechet_distance(*feature_statistics(x), *feature_statistics(y)) == pytest.approx(expected, rel=1e-10)


def test_torch_and_numpy_give_the_same():
    x = np.random.default_rng(7).standard_normal((50, 8))
    a, b = feature_statistics(x), feature_statistics(torch.from_numpy(x * 2))
    tensors = [torch.from_numpy(v) for v in (*a, *b)]
    assert frechet_distance(*tensors) == frechet_distance(*a, *b)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(2), np.eye(2), np.zeros(3), np.eye(3)), "2 and 3 dimensions"),
        ((np.zeros(2), np.eye(3), np.zeros(2), np.eye(2)), "do not belong together"),
        ((np.zeros(2), np.eye(2) * np.nan, np.zeros(2), np.eye(2)), "not finite"),
    ],
)
def test_bad_statistics_are_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        frechet_distance(*arguments)


def test_fid_is_refused_outside_its_space():
    x = np.random.default_rng(8).standard_normal((30, 4))
    digits = FeatureSet({"features": x}, space="digits_cnn")
    assert METRICS.create("frechet_distance").compute(digits, digits) == {
        "frechet_distance": pytest.approx(0, abs=1e-12)
    }
    with pytest.raises(UserError, match="'digits_cnn' and 'inception' cannot be compared"):
        METRICS.create("fid").compute(digits, digits)
    with pytest.raises(UserError, match="cannot be compared"):
        METRICS.create("frechet_distance").compute(digits, FeatureSet({"features": x}, space="inception"))


def test_fid_infinity_removes_the_bias():
    rng = np.random.default_rng(9)
    reference = FeatureSet({}, {"features": (np.zeros(8), np.eye(8))}, space="inception")
    raw, corrected = [], []
    for _ in range(20):
        samples = FeatureSet({"features": rng.standard_normal((2000, 8))}, space="inception")
        raw.append(METRICS.create("fid").compute(reference, samples)["fid"])
        corrected.append(METRICS.create("fid_infinity").compute(reference, samples)["fid_infinity"])
    assert np.mean(raw) > 10 * np.std(raw) / math.sqrt(20)
    assert abs(np.mean(corrected)) < 0.2 * np.mean(raw)


def test_fid_infinity_is_seeded():
    rng = np.random.default_rng(10)
    reference = FeatureSet({"features": rng.standard_normal((200, 4))}, space="inception")
    samples = FeatureSet({"features": rng.standard_normal((300, 4))}, space="inception")
    values = {METRICS.create("fid_infinity", seed=s).compute(reference, samples)["fid_infinity"] for s in (0, 0, 1)}
    assert len(values) == 2


def test_kernel_distance_agrees_with_torch_fidelity():
    from torch_fidelity.metric_kid import kid_features_to_metric

    rng = np.random.default_rng(11)
    real, fake = rng.standard_normal((150, 16)), rng.standard_normal((120, 16)) * 1.1 + 0.2
    expected = kid_features_to_metric(
        torch.from_numpy(fake), torch.from_numpy(real), kid_subsets=10, kid_subset_size=50, verbose=False, rng_seed=2020
    )
    got = kernel_distance(real, fake, subsets=10, subset_size=50)
    assert got == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-12)


def test_kernel_distance_is_unbiased():
    rng = np.random.default_rng(12)
    values = [kernel_distance(*rng.standard_normal((2, 100, 4)), subsets=1, subset_size=100) for _ in range(200)]
    assert abs(np.mean(values)) < 3 * np.std(values) / math.sqrt(200)
    assert min(values) < 0 < max(values)


def test_kernel_distance_names_what_is_too_small():
    with pytest.raises(UserError, match="subset_size=1000: 20 rows"):
        kernel_distance(np.zeros((20, 2)), np.zeros((2000, 2)))


def test_the_distance_of_few_samples_is_the_distance():
    """Fewer rows than dimensions: both short forms against the (D, D) one, on a reference of falling spectrum."""
    rng = np.random.default_rng(3)
    scale = np.exp(-np.arange(48) / 8) + 1e-3
    reference = feature_statistics(rng.standard_normal((200, 48)) * scale)
    for count in (2, 20, 47, 60):
        samples = rng.standard_normal((count, 48)) * 1.2 * scale + 0.1
        expected = frechet_distance(*reference, *feature_statistics(samples))
        assert frechet_distance_of_few(reference, samples) == pytest.approx(expected, rel=1e-10)
        assert frechet_distance_of_few(reference, samples, exact=False) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(UserError, match="48 and 7 dimensions"):
        frechet_distance_of_few(reference, samples[:5, :7])


def test_a_reference_is_factored_once_for_a_line_up(monkeypatch):
    rng = np.random.default_rng(2)
    references = [feature_statistics(rng.standard_normal((90, 30)) * scale) for scale in (1, 2, 3)]
    samples = rng.standard_normal((12, 30))
    seen, real = [], fid._spectral_factor
    monkeypatch.setattr(fid, "_spectral_factor", lambda cov: seen.append(cov) or real(cov))
    values = [frechet_distance_of_few(references[i], samples) for i in (0, 1, 0, 1, 2, 1, 0)]
    assert len(seen) == 4 and len(fid._factors) == 2  # the third reference takes the place of the first
    assert values[0] == values[2] == values[6] and values[1] == values[3] == values[5]
    assert len(set(values)) == 3


def test_fid_of_few_samples_is_that_of_their_statistics():
    rng = np.random.default_rng(4)
    real, fake = (rng.standard_normal((n, 64)).astype(np.float32) for n in (100, 30))
    reference = FeatureSet({"features": real}, space="inception")
    few = METRICS.create("fid").compute(reference, FeatureSet({"features": fake}, space="inception"))["fid"]
    given = FeatureSet({}, {"features": feature_statistics(fake)}, space="inception")
    assert few == pytest.approx(METRICS.create("fid").compute(reference, given)["fid"], rel=1e-10)


def test_kid_is_the_same_from_whole_kernels_and_from_subsets(monkeypatch):
    rng = np.random.default_rng(5)
    real, fake = rng.standard_normal((70, 12)), 1.3 * rng.standard_normal((50, 12)) + 0.2
    whole = kid.kernel_distance(real, fake, subsets=7, subset_size=20)
    monkeypatch.setattr(kid, "WHOLE", 0)
    assert kid.kernel_distance(real, fake, subsets=7, subset_size=20) == pytest.approx(whole, rel=1e-12)
