"""The guiders of diffusers on the same predictions as their counterparts here."""

from __future__ import annotations

import math

import pytest
import torch
from guidance_bench.backbones.blocks import Attention
from guiders import COMPARED, RECORD, difference
from stored_predictions import COND, EDITED, GENERATOR, NULL, lookup, same, step

import guidance_bench as gb
from guidance_bench.sampling.driver import run_guide
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


#: Guiders that no method of ours is: CFG before a step and APG after it; sound and pictures together, see below.
OTHERS = {"AdaptiveProjectedMixGuidance", "LTX2Guidance"}
GUIDERS = {
    **{"cfg": "ClassifierFreeGuidance", "cfg_rescale": "ClassifierFreeGuidance", "slg": "SkipLayerGuidance"},
    **{"cfg_zero": "ClassifierFreeZeroStarGuidance", "tcfg": "TangentialClassifierFreeGuidance"},
    **{"mambo_g": "MagnitudeAwareGuidance", "fdg": "FrequencyDecoupledGuidance", "apg": "AdaptiveProjectedGuidance"},
    **{"pag": "PerturbedAttentionGuidance", "seg": "SmoothedEnergyGuidance", "autoguidance": "AutoGuidance"},
}


def test_every_guider_with_a_counterpart_is_compared():
    from diffusers import guiders

    theirs = {name for name in vars(guiders) if name.endswith("Guidance") or name == "AutoGuidance"}
    assert theirs - {"BaseGuidance"} == {*GUIDERS.values(), *OTHERS} and set(GUIDERS) == set(COMPARED)


def test_the_pictures_part_of_ltx2s_guider_is_a_sum_of_cfg_and_a_weak_branch():
    from diffusers.guiders import LTX2Guidance

    guider = LTX2Guidance(guidance_scale=1.7, stg_scale=0.4)
    guider.set_state(step=4, num_inference_steps=10, timestep=None)
    both = gb.Sum((gb.METHODS.create("cfg", scale=1.7), gb.METHODS.create("pag", scale=1.4)))
    at = step(state=both.init())
    ours = run_guide(both, at, lambda queries: tuple(map(lookup, queries)))
    same(ours, guider.forward(COND, NULL, EDITED).pred)


def theirs_and_ours() -> tuple[torch.nn.Module, Attention]:
    """Their self-attention of 16 tokens in a block, and ours with its weights."""
    from diffusers.models.attention_processor import Attention as Theirs

    torch.manual_seed(0)
    block = torch.nn.Module()
    block.attn = Theirs(query_dim=16, heads=2, dim_head=8, bias=True).double()
    holder = torch.nn.Module()
    holder.blocks = torch.nn.ModuleList([block])
    ours, theirs = Attention(16, 2).double(), block.attn
    with torch.no_grad():
        for name in ("weight", "bias"):
            parts = [getattr(layer, name) for layer in (theirs.to_q, theirs.to_k, theirs.to_v)]
            getattr(ours.qkv, name).copy_(torch.cat(parts))
            getattr(ours.proj, name).copy_(getattr(theirs.to_out[0], name))
    return holder, ours


@pytest.mark.parametrize("kind", ["none", "identity_attention", "query_blur"])
def test_the_weak_branches_of_pag_and_seg_are_those_of_their_hooks(kind):
    """The mean query is what their hook makes of a sigma below its threshold; above it, it blurs (0.42.1)."""
    from diffusers.hooks import LayerSkipConfig, apply_layer_skip
    from diffusers.hooks import smoothed_energy_guidance_utils as smoothed

    holder, ours = theirs_and_ours()
    tokens = torch.randn(2, 16, 16, generator=GENERATOR, dtype=torch.float64)
    if kind == "identity_attention":
        parts = {"skip_attention": False, "skip_attention_scores": True, "skip_ff": False}
        apply_layer_skip(holder, LayerSkipConfig([0], fqn="blocks", **parts))
    elif kind == "query_blur":
        config = smoothed.SmoothedEnergyGuidanceConfig([0], fqn="blocks")
        smoothed._apply_smoothed_energy_guidance_hook(holder, config, blur_sigma=1.0)
    edits = [] if kind == "none" else [gb.Edit(kind, (1,), math.inf)]
    with torch.no_grad():
        same(ours(tokens, edits=edits), holder.blocks[0].attn(tokens))
