"""The guiders of diffusers on the same predictions as their counterparts here."""

from __future__ import annotations

import math

import pytest
import torch
from guiders import COMPARED, RECORD, difference
from stored_predictions import GENERATOR

from guidance_bench.storage.files import read_json

pytest.importorskip("diffusers.guiders")

#: Of the largest value. Theirs adds 1e-8 to a square (cfg_zero, mambo_g) or works in float32.
TOLERANCES = {"cfg_zero": 1e-7, "tcfg": 1e-5, "mambo_g": 1e-8, "fdg": 1e-6, "apg": 1e-9}


@pytest.mark.parametrize("name", COMPARED)
def test_a_method_is_the_guider_of_diffusers(name):
    if name == "fdg":
        pytest.importorskip("kornia")
    assert difference(name) <= TOLERANCES.get(name, 1e-12)


def test_the_record_holds_every_counterpart_within_its_tolerance():
    recorded = read_json(RECORD)["methods"]
    assert set(recorded) == set(COMPARED)
    assert all(value <= TOLERANCES.get(name, 1e-12) for name, value in recorded.items())


@pytest.mark.parametrize("sigma", [0.7, 1.5])
def test_blurred_queries_differ_from_theirs_at_the_border_alone(sigma):
    """Inside, the kernels agree to their cut at three sigma; they mirror the border, ours weighs what there is anew.

    Theirs takes the kernel where sigma is above a threshold and the mean query below it; here the threshold is 0.
    """
    from diffusers.hooks.smoothed_energy_guidance_utils import _gaussian_blur_2d

    from guidance_bench.guidance.filters import gaussian_blur

    x = torch.randn(1, 3, 24, 24, generator=GENERATOR, dtype=torch.float64)
    size = math.ceil(6 * sigma) + 1 - math.ceil(6 * sigma) % 2
    blurred = _gaussian_blur_2d(x.flatten(2).movedim(1, 2).clone(), size, sigma, 0.0)
    theirs, ours = blurred.movedim(2, 1).view_as(x), gaussian_blur(x, sigma)
    inside = (..., slice(size // 2, -(size // 2)), slice(size // 2, -(size // 2)))
    assert float((ours[inside] - theirs[inside]).abs().max()) < 1e-2
    assert float((ours - theirs).abs().max()) > 5e-2
