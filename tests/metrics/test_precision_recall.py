"""Precision, recall, density and coverage on sets where they can be counted by hand, and tile by tile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from guidance_bench.core.errors import UserError
from guidance_bench.features.feature_set import FeatureSet
from guidance_bench.metrics import manifolds, precision_recall
from guidance_bench.metrics.adm_half import half_distances, half_norms
from guidance_bench.metrics.base import METRICS

MODES = ("fp32", "adm_fp16")


def integers(seed, n, d=8, offset=0):
    """Points whose distances are exact in float32 and, small as they are, in half precision."""
    return np.random.default_rng(seed).integers(-5, 6, (n, d)).astype(np.float64) + offset


def brute_force(reference, samples, k):
    """Straight from the definition, in float64."""

    def distances(a, b):
        return np.square(a[:, None] - b[None]).sum(-1)

    real = np.sort(distances(reference, reference), axis=1)[:, k]
    fake = np.sort(distances(samples, samples), axis=1)[:, k]
    cross = distances(samples, reference)
    inside = cross <= real
    return (
        inside.any(1).mean(),
        (cross <= fake[:, None]).any(0).mean(),
        inside.sum() / (k * len(samples)),
        inside.any(0).mean(),
    )


@pytest.mark.parametrize("mode", MODES)
def test_identical_and_distant_sets(mode):
    x = integers(0, 40)
    assert precision_recall(x, x, mode=mode) == (1, 1)
    assert precision_recall(x, x + 100, mode=mode) == (0, 0)


@pytest.mark.parametrize("mode", MODES)
def test_copies_of_one_reference_point(mode):
    x = np.unique(integers(1, 50), axis=0)
    assert precision_recall(x, np.repeat(x[:1], 20, axis=0), mode=mode) == (1, 1 / len(x))


@pytest.mark.parametrize("mode", MODES)
def test_one_of_two_modes(mode):
    one = integers(2, 30)
    reference = np.concatenate([one, integers(3, 30, offset=60)])
    precision, recall = precision_recall(reference, one, mode=mode)
    assert (precision, recall) == (1, 0.5)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_equals_the_definition(k):
    reference, samples = integers(4, 60, 4), integers(5, 45, 4, offset=2)
    result = manifolds(reference, samples, k)
    expected = brute_force(reference, samples, k)
    got = (result.precision, result.recall, result.density, result.coverage)
    assert got == pytest.approx(expected, abs=1e-15)
    assert 0 < result.precision < 1 and 0 < result.recall < 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tile", [1, 7, 64, 100_000])
def test_tiles_do_not_matter(mode, tile):
    reference, samples = integers(6, 40, 16), integers(7, 30, 16, offset=1)
    assert manifolds(reference, samples, mode=mode, tile=tile) == manifolds(reference, samples, mode=mode)


def test_unsigned_integers_are_features_too():
    a, b = integers(8, 60, 4, offset=9), integers(9, 50, 4, offset=11)
    assert manifolds(a.astype(np.uint8), b.astype(np.uint8)) == manifolds(a, b)


def test_swapped_sets_swap_precision_and_recall():
    a, b = integers(8, 60, 4), integers(9, 50, 4, offset=2)
    precision, recall = precision_recall(a, b)
    assert precision_recall(b, a) == (recall, precision)
    assert precision != recall


def test_agrees_with_torch_fidelity():
    from torch_fidelity.metric_prc import calculate_precision_recall_full

    rng = np.random.default_rng(10)
    real = rng.standard_normal((300, 32)).astype(np.float32)
    fake = (rng.standard_normal((250, 32)) * 0.9 + 0.1).astype(np.float32)
    expected = calculate_precision_recall_full(torch.from_numpy(fake), torch.from_numpy(real), 3)
    assert precision_recall(real, fake) == pytest.approx(expected, abs=1e-7)
    assert precision_recall(torch.from_numpy(real), torch.from_numpy(fake)) == precision_recall(real, fake)


@pytest.mark.parametrize("d", [13, 50, 64, 101, 2048])
def test_half_precision_equals_tensorflow(d):
    with np.load(Path(__file__).parents[1] / "data/tensorflow_half.npz") as golden:
        x, y = (torch.from_numpy(golden[f"{name}_{d}"]) for name in "xy")
        norms, distances = golden[f"norms_{d}"], golden[f"distances_{d}"].astype(np.float32)
    assert np.array_equal(half_norms(x).numpy(), norms)
    got = half_distances(x.float(), half_norms(x), y.float(), half_norms(y)).numpy()
    # TensorFlow's products are summed in another order, which one in some ten thousand shows after rounding.
    assert (got != distances).mean() <= 0.01
    assert got == pytest.approx(distances, rel=2e-3)


def test_half_precision_overflow_falls_back_to_single():
    x, y = integers(11, 40, 16, offset=100), integers(12, 30, 16, offset=102)  # squared norms about 160,000
    assert manifolds(x, y, mode="adm_fp16") == manifolds(x, y)
    assert 0 < manifolds(x, y).precision < 1


def test_large_norms_that_fit_stay_in_half():
    # Offsets of 40 make squared norms of 25,600: above the quick bound, yet every distance is finite in half precision,
    # where numbers this large are multiples of 16.
    x, y = integers(13, 60, 16, offset=40), integers(14, 60, 16, offset=40)
    assert manifolds(x, y, mode="adm_fp16") != manifolds(x, y)


def test_rows_of_the_registry():
    sets = [FeatureSet({"features": integers(seed, 40, 4)}) for seed in (15, 16)]
    arrays = [s.array("features") for s in sets]
    result, dense = manifolds(*arrays, k=3), manifolds(*arrays, k=5)
    row = METRICS.create("precision_recall")
    assert row.compute(*sets) == {"precision": result.precision, "recall": result.recall}
    assert list(METRICS.create("precision_recall", mode="adm_fp16").compute(*sets)) == [
        "precision_adm_fp16",
        "recall_adm_fp16",
    ]
    expected = {"density": dense.density, "coverage": dense.coverage}
    assert METRICS.create("density_coverage").compute(*sets) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(k=5), "k=5: 5 rows, at least 6"),
        (dict(k=0), "k=0"),
        (dict(mode="fp8"), "mode='fp8' is not one of fp32, adm_fp16"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        precision_recall(integers(17, 5), integers(18, 9), **arguments)


def test_bad_features_are_refused():
    with pytest.raises(UserError, match="8 and 4 dimensions"):
        precision_recall(integers(19, 9), integers(20, 9, 4))
    with pytest.raises(UserError, match="not finite"):
        precision_recall(integers(21, 9), np.full((9, 8), np.inf))


@pytest.mark.parametrize("mean", [100.0, 300.0, 1000.0, 3000.0])
@pytest.mark.parametrize("d", [16, 256])
def test_a_large_common_mean_changes_nothing(mean, d):
    """Distances do not see a common shift; in float32 without a centre they are lost to cancellation."""
    rng = np.random.default_rng(0)
    real, fake = (
        (scale * rng.standard_normal((300, d)) + mean).astype(np.float32).astype(np.float64) for scale in (1, 0.98)
    )
    expected = brute_force(real, fake, 3)
    result = manifolds(real, fake)
    assert 0.2 < expected[0] < 1 and 0.2 < expected[1] < 1
    assert (result.precision, result.recall, result.density, result.coverage) == pytest.approx(expected, abs=1e-15)
    assert manifolds(real.astype(np.float32), fake.astype(np.float32)) == result


@pytest.mark.slow
@pytest.mark.parametrize("mean", [0.0, 300.0, 1000.0, 3000.0])
def test_a_large_mean_in_inception_width_equals_float64(mean):
    rng = np.random.default_rng(1)
    real, fake = ((rng.standard_normal((500, 2048)) + mean).astype(np.float32).astype(np.float64) for _ in range(2))

    def squared(a, b):
        return np.square(a - mean).sum(1)[:, None] + np.square(b - mean).sum(1) - 2 * (a - mean) @ (b - mean).T

    def share(set_, points):
        radii = np.sort(squared(set_, set_), axis=1)[:, 3]
        return (squared(points, set_) <= radii).any(1).mean()

    assert precision_recall(real, fake) == (share(real, fake), share(fake, real))


def test_the_mean_moves_only_what_it_must():
    """A mean that is small beside the spread leaves every number as it was; constant features have no spread."""
    from guidance_bench.metrics.neighbours import _centre

    rng = np.random.default_rng(2)
    near = rng.standard_normal((50, 8)).astype(np.float32)
    assert not _centre(near, near[:30]).any()
    far = (near + 1000).astype(np.float32)
    moved = far.astype(np.float64) - _centre(far, far)
    assert np.array_equal(moved, moved.astype(np.float32)) and np.abs(moved.mean(0)).max() < 1
    same = np.full((9, 4), 0.3, np.float32)
    assert precision_recall(same, same) == (1, 1)


def test_adm_mode_is_of_the_numbers_as_they_are():
    x, y = integers(13, 60, 16), integers(14, 60, 16)
    near = manifolds(x, y, mode="adm_fp16")
    assert manifolds(x + 2.0, y + 2.0, mode="adm_fp16") == near  # exact in half precision
    assert manifolds(x + 40.0, y + 40.0, mode="adm_fp16") != near  # multiples of 16: ADM's program does not centre


def test_bfloat16_tensors_are_taken():
    values = torch.randn(40, 8, generator=torch.Generator().manual_seed(0)).bfloat16()
    assert precision_recall(values[:20], values[20:]) == precision_recall(values[:20].float(), values[20:].float())
