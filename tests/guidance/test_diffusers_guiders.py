"""The guiders of diffusers on the same predictions, in our convention; where they differ, the difference has a name.

Theirs count time from the noise and velocities from the data, which no linear update sees. Ours, in parentheses:
APG in its original form on data predictions (theirs on whatever the network predicts), TCFG on noise predictions
likewise, and standard deviations of whole samples in the rescaling. Their CFG-Zero* counts steps from 0, as ours.
"""

from __future__ import annotations

import math

import pytest
import torch
from stored_predictions import COND, EDITED, GENERATOR, NULL, T, X, guided, lookup, step

import guidance_bench as gb
from guidance_bench.sampling.driver import run_guide

guiders = pytest.importorskip("diffusers.guiders")
WEAK = torch.randn(X.shape, generator=GENERATOR, dtype=torch.float64)


def at(guider, index: int = 4):
    guider.set_state(step=index, num_inference_steps=10, timestep=None)
    return guider


def agree(ours: torch.Tensor, theirs: torch.Tensor, tolerance: float = 1e-12) -> None:
    assert float((ours - theirs).abs().max()) <= tolerance * float(theirs.abs().max())


def test_cfg_and_its_rescaling():
    agree(guided("cfg", scale=1.7), at(guiders.ClassifierFreeGuidance(1.7)).forward(COND, NULL).pred)
    rescaled = at(guiders.ClassifierFreeGuidance(1.7, guidance_rescale=0.7)).forward(COND, NULL).pred
    agree(guided("cfg_rescale", scale=1.7, rescale=0.7), rescaled)


def test_cfg_zero_star():
    guider = guiders.ClassifierFreeZeroStarGuidance(1.7, zero_init_steps=2)
    for index in range(4):
        ours = guided("cfg_zero", step(index=index), scale=1.7, zero_steps=2)
        theirs = at(guider, index).forward(COND, NULL).pred
        agree(ours, theirs, 1e-7)  # theirs adds 1e-8 to the square of the norm
        assert bool(ours.count_nonzero()) == (index >= 2)


def test_tcfg_in_noise_predictions():
    """By their singular value decomposition; theirs in float32 at best."""
    eps = [X + (1 - T) * v for v in (COND, NULL)]
    theirs = at(guiders.TangentialClassifierFreeGuidance(1.7)).forward(*eps).pred
    agree(guided("tcfg", scale=1.7), (theirs - X) / (1 - T), 1e-5)


def test_mambo_g():
    """Theirs cannot take the norm of four dimensions; over three it is the same."""
    theirs = at(guiders.MagnitudeAwareGuidance(4.0, alpha=0.5)).forward(COND.flatten(2), NULL.flatten(2)).pred
    agree(guided("mambo_g", scale=4.0, alpha=0.5), theirs.view_as(X), 1e-8)


def test_fdg():
    """With projection in the original form alone: the other one projects what it then adds to the null prediction."""
    pytest.importorskip("kornia")
    plain = at(guiders.FrequencyDecoupledGuidance([2.0, 1.2])).forward(COND, NULL).pred
    agree(guided("fdg", low_scale=1.2, high_scale=2.0), plain, 1e-6)
    guider = guiders.FrequencyDecoupledGuidance([1.0, 0.2], parallel_weights=[0.3, 0.3], use_original_formulation=True)
    projected = at(guider).forward(COND, NULL).pred
    agree(guided("fdg", low_scale=1.2, high_scale=2.0, parallel=0.3), projected, 1e-6)


def test_apg_in_its_original_form_on_data_predictions():
    radius = 0.3 * math.sqrt(X[0].numel())
    guider = guiders.AdaptiveProjectedGuidance(
        3.0,
        adaptive_projected_guidance_momentum=-0.5,
        adaptive_projected_guidance_rescale=radius,
        eta=0.2,
        use_original_formulation=True,
    )
    guider.momentum_buffer = type(guider.momentum_buffer or _buffer())(-0.5)
    state: dict = {}
    for index in range(3):
        cond, null = COND.roll(index, 0), NULL.roll(-index, 0)
        now = step(index=index, state=state)
        ours = run_guide(
            gb.METHODS.create("apg", scale=4.0, norm=0.3, parallel=0.2, momentum=-0.5),
            now,
            lambda queries, cond=cond, null=null: tuple(null if q.label == "null" else cond for q in queries),
        )
        state = dict(now.state)
        theirs = at(guider, index).forward(X - T * cond, X - T * null).pred
        agree(ours, (X - theirs) / T, 1e-9)


def _buffer():
    from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer

    return MomentumBuffer(-0.5)


def test_skip_layer_guidance_with_and_without_cfg():
    both = guiders.SkipLayerGuidance(
        1.7,
        skip_layer_guidance_scale=0.4,
        skip_layer_guidance_start=0.0,
        skip_layer_guidance_stop=1.0,
        skip_layer_guidance_layers=[1],
    )
    agree(guided("slg", scale=1.7, skip_scale=1.4), at(both).forward(COND, NULL, EDITED).pred)
    alone = guiders.SkipLayerGuidance(
        1.0,
        skip_layer_guidance_scale=1.4,
        skip_layer_guidance_start=0.0,
        skip_layer_guidance_stop=1.0,
        skip_layer_guidance_layers=[1],
    )
    agree(guided("slg", scale=1.0, skip_scale=1.4), at(alone).forward(COND, None, EDITED).pred)


def test_attention_is_perturbed_or_smoothed():
    pag = guiders.PerturbedAttentionGuidance(
        1.0,
        perturbed_guidance_scale=1.7,
        perturbed_guidance_start=0.0,
        perturbed_guidance_stop=1.0,
        perturbed_guidance_layers=[1],
    )
    agree(guided("pag", scale=1.7), at(pag).forward(COND, None, EDITED).pred)
    seg = guiders.SmoothedEnergyGuidance(1.0, seg_guidance_scale=1.7, seg_guidance_layers=[1])
    agree(guided("seg", scale=1.7), at(seg).forward(COND, None, EDITED).pred)


def test_autoguidance():
    """Theirs makes the weak network by dropping blocks; the update is the same."""
    guider = guiders.AutoGuidance(1.7, auto_guidance_layers=[1], dropout=0.1)
    ours = run_guide(
        gb.METHODS.create("autoguidance", scale=1.7),
        step(),
        lambda queries: tuple(WEAK if query.net == "weak" else lookup(query) for query in queries),
    )
    agree(ours, at(guider).forward(COND, WEAK).pred)


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
