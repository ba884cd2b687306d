"""Loading the official programs' checkpoints in all their wrappings; tensors that do not fit."""

from __future__ import annotations

import argparse
import collections

import numpy as np
import pytest
import torch
from golden_backbones import GOLDEN, OFFICIAL, PREFIXES, Golden, plain_sit, refused
from safetensors.torch import save_file

import guidance_bench as gb
from guidance_bench.networks import official_layouts as layouts


@pytest.fixture(params=GOLDEN)
def golden(request) -> Golden:
    return Golden(request.param)


# -- equality with the official programs


@pytest.mark.parametrize("auto", [True, False])
def test_velocities_are_the_official_ones(golden, auto):
    backbone = gb.load_backbone(golden.weights, layout="auto" if auto else golden.layout, **golden.untold)
    golden.check(backbone)
    assert backbone.data_time is golden.data_time and not backbone.training
    assert type(backbone.config).name == golden.layout.removesuffix("_ig")


@pytest.mark.parametrize("nested", [None, "ema", "model"])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_wrappings_are_taken_off(golden, prefix, nested):
    weights = {prefix + name: tensor for name, tensor in golden.weights.items()}
    golden.check(gb.load_backbone({nested: weights} if nested else weights, **golden.untold))


def test_blocks_compiled_one_by_one(golden):
    weights = {name.replace(".attn.", "._orig_mod.attn."): tensor for name, tensor in golden.weights.items()}
    golden.check(gb.load_backbone(weights, **golden.untold))


def test_ema_goes_before_model(golden):
    zeros = {name: torch.zeros_like(tensor) for name, tensor in golden.weights.items()}
    content = {"model": zeros, "ema": golden.weights, "opt": {"state": {}}, "epoch": 3}
    golden.check(gb.load_backbone(content, **golden.untold))
    raw = gb.load_backbone(content, weights="model", **golden.untold)
    assert all(parameter.count_nonzero() == 0 for parameter in raw.parameters())
    refused("holds no 'model' weights", {"ema": golden.weights}, weights="model")
    refused("weights='average' is not one of ema, model", golden.weights, weights="average")


@pytest.mark.parametrize("zipped", [True, False])
def test_training_programs_files(golden, tmp_path, zipped):
    arguments = argparse.Namespace(model="SiT-B/2", lr=np.float64(1e-4), steps=np.int64(5), resume=None)
    content = {"ema": golden.weights, "args": arguments, "opt": collections.OrderedDict(), "steps": 5}
    torch.save(content, tmp_path / "0000005.pt", _use_new_zipfile_serialization=zipped)
    golden.check(gb.load_backbone(tmp_path / "0000005.pt", **golden.untold))
    golden.check(gb.load_backbone(str(tmp_path / "0000005.pt"), **golden.untold))


def test_safetensors_files(golden, tmp_path):
    save_file(golden.weights, tmp_path / "weights.safetensors")
    golden.check(gb.load_backbone(tmp_path / "weights.safetensors", **golden.untold))


def test_the_loaded_network_is_a_copy_in_the_dtype_asked_for(golden):
    before = golden.weights["pos_embed"].clone()
    backbone = gb.load_backbone(golden.weights, dtype=torch.float64, **golden.untold)
    assert {tensor.dtype for tensor in backbone.state_dict().values()} == {torch.float64}
    golden.check(backbone)
    same = gb.load_backbone(golden.weights, **golden.untold)
    with torch.no_grad():
        same.pos_embed.zero_()
    assert torch.equal(golden.weights["pos_embed"], before) and not same.pos_embed.requires_grad


def test_stored_rotary_turns_are_used():
    golden = Golden("lightningdit")
    golden.weights["feat_rope.freqs_sin"] = torch.zeros_like(golden.weights["feat_rope.freqs_sin"])
    backbone = gb.load_backbone(golden.weights)
    assert backbone.feat_rope.freqs_sin.count_nonzero() == 0


# -- layouts and configurations


@pytest.mark.parametrize("name", OFFICIAL)
def test_official_models_are_recognised(name):
    """All official sizes, without memory for their weights."""
    tensors = {key: torch.empty(shape, device="meta") for key, shape in OFFICIAL[name]["state_dict"].items()}
    layout = layouts.recognise(tensors, name)
    assert layout == name.split("-")[0].lower() + ("_ig" if name.endswith("+IG") else "")
    config = gb.BACKBONES.create(layout.removesuffix("_ig"), **layouts.configuration(tensors, layout, {}, name))
    size = name.split("-")[1].split("/")[0]
    for parameter, value in type(config).sizes[size].items():
        assert getattr(config, parameter) == value
    assert config.mlp_ratio == 4 and config.num_classes == 1000 and config.null_label
    assert config.tap == (None if not name.endswith("+IG") else 4 if size == "B" else 8)
    with torch.device("meta"):
        state = config.build().state_dict()
    assert {key: list(tensor.shape) for key, tensor in state.items()} == OFFICIAL[name]["state_dict"]


@pytest.mark.parametrize(
    ("backbone", "parameters"),
    [
        ("sit", {"qk_norm": True, "tap": 1, "mlp_ratio": 2.5}),
        ("sit", {"learn_sigma": True, "null_label": False, "patch_size": 4}),
        ("lightningdit", {"wo_shift": True, "rope": False, "mlp_ratio": 3.3}),
        ("lightningdit", {"qk_norm": True, "rmsnorm": False, "swiglu": False, "tap": 2}),
    ],
)
def test_options_are_read_from_the_tensors(backbone, parameters):
    small = {"hidden_size": 48, "depth": 2, "num_heads": 4, "input_size": 8, "in_channels": 3, "num_classes": 7}
    network = gb.BACKBONES.create(backbone, **small, **parameters).build()
    given = {"num_heads": 4, "num_classes": 7} | {k: v for k, v in parameters.items() if k in ("tap", "null_label")}
    loaded = gb.load_backbone(network.state_dict(), layout=backbone + ("_ig" if "tap" in parameters else ""), **given)
    expected = network.config.parameters()
    if parameters.get("mlp_ratio") == 3.3:  # 2/3 of 158 is 105, which 158 / 48 leads to as well
        assert loaded.config.mlp_ratio == 158 / 48
        expected["mlp_ratio"] = 158 / 48
    assert loaded.config.parameters() == expected


def test_time_of_a_plain_sit_has_to_be_told():
    golden = plain_sit()
    refused("do not tell in which direction time runs; give layout='sit'", golden.weights, num_heads=4)
    golden.check(gb.load_backbone(golden.weights, layout="sit", num_heads=4))
    noise_time = gb.load_backbone(golden.weights, layout="sit_ig", num_heads=4)
    assert not noise_time.data_time and noise_time.trained_taps == ()


def test_projectors_of_repa_tell_its_time_and_are_left_out():
    weights = plain_sit().weights | {"projectors.0.0.weight": torch.zeros(64, 48)}
    for layout in ("auto", "sit_ig"):
        backbone = gb.load_backbone(weights, layout=layout, num_heads=4)
        assert not backbone.data_time and not any("projectors" in name for name in backbone.state_dict())


def test_what_tensors_do_not_tell_is_required():
    sit, light = Golden("sit_ig"), Golden("lightningdit_ig")
    refused(r"do not tell num_heads and tap, .* give num_heads=\.\.\., tap=\.\.\. to load_backbone", sit.weights)
    refused("do not tell tap, and width 48 with depth 4", sit.weights, num_heads=4)
    refused("do not tell tap,", light.weights)  # rotary positions have a head's width


@pytest.mark.parametrize(
    ("layout", "arguments", "message"),
    [
        ("sit", {"num_heads": 4, "hidden_size": 64}, "hidden_size=64 contradicts the tensors, which say 48"),
        ("sit", {"num_heads": 4, "learn_sigma": False}, "learn_sigma=False contradicts the tensors, which say True"),
        ("sit", {"num_heads": 5}, "hidden_size=48 is not a multiple of num_heads=5"),
        ("sit", {"num_heads": "4"}, "num_heads='4' is not of type int"),
        ("sit", {"num_head": 4}, "has no parameter 'num_head' .* did you mean 'num_heads'"),
        ("sit", {"num_heads": 4, "tap": 2}, r"has no tensors final_layer_xr\.\*, so no internal head"),
        ("sit_ig", {"num_heads": 4, "tap": 9}, "tap=9 lies beyond the last block, depth=4"),
        ("lightningdit", {"num_heads": 6}, "num_heads=6 contradicts the tensors, which say 4"),
        ("sit", {"layout": "sit_igg"}, "unknown layout 'sit_igg' .* did you mean 'sit_ig'"),
        ("sit_ig", {"layout": "sit"}, r"has tensors final_layer_xr\.\*, .* give layout='sit_ig'"),
        ("lightningdit", {"layout": "lightningdit_ig"}, r"has no tensors final_layer_xr\.\*, which layout"),
        ("sit", {"layout": "guidance_bench"}, "has no 'guidance_bench' configuration"),
        ("lightningdit", {"layout": "sit", "num_heads": 4}, "tensors do not fit the network; .* unexpected"),
    ],
)
def test_mistaken_arguments(layout, arguments, message):
    refused(message, Golden(layout).weights, **arguments)


# -- tensors that do not fit


def test_every_misfit_is_named_in_one_error():
    weights = Golden("sit").weights
    del weights["blocks.1.mlp.fc1.bias"]
    weights["blocks.2.extra"] = torch.zeros(1)
    weights["t_embedder.mlp.0.weight"] = torch.zeros(48, 128)
    refused(
        r"1 missing: blocks\.1\.mlp\.fc1\.bias; 1 unexpected: blocks\.2\.extra; "
        r"1 of another shape: t_embedder\.mlp\.0\.weight \(48, 128\) instead of \(48, 256\)",
        weights,
        num_heads=4,
    )


def test_many_misfits_are_counted():
    weights = {n: v for n, v in Golden("sit").weights.items() if not n.startswith("blocks.1.")}
    refused(r"10 missing: blocks\.1\.attn\.qkv\.weight, [^,]+, [^,]+, \.\.\.", weights, num_heads=4)


@pytest.mark.parametrize("name", ["pos_embed", "x_embedder.proj.weight", "final_layer.linear.weight"])
def test_tensors_that_the_configuration_is_read_from(name):
    weights = Golden("sit").weights
    refused(f"{name} has shape ", {**weights, name: torch.zeros(3)}, num_heads=4)
    del weights[name]
    refused(f"is no SiT or LightningDiT checkpoint, for it lacks {name}", weights, num_heads=4)


@pytest.mark.parametrize("name", ["feat_rope.freqs_cos", "blocks.0.mlp.w3.weight"])
def test_tensors_that_options_are_read_from(name):
    refused(rf"{name} has shape \(\)", {**Golden("lightningdit").weights, name: torch.tensor(1.0)})


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, {"ema": {}}, {"model": {"a": 1}}])
def test_what_is_no_state_dict(content):
    refused("is not a state dict", content)


# -- checkpoints from elsewhere


def test_known_checkpoints_bring_their_layout_and_configuration(tmp_path, monkeypatch):
    golden = plain_sit()
    torch.save(golden.weights | {"projectors.0.0.weight": torch.zeros(1)}, tmp_path / "last.pt")
    known = argparse.Namespace(layout="sit_ig", settings={"num_heads": 4})
    monkeypatch.setattr("guidance_bench.networks.checkpoints.fetch", lambda source: tmp_path / "last.pt")
    monkeypatch.setattr("guidance_bench.networks.checkpoints.known_checkpoints", lambda: {"repa": known})
    assert not gb.load_backbone("REPA").data_time
    assert gb.load_backbone("REPA", layout="sit").data_time
    with pytest.raises(gb.UserError, match="do not tell num_heads"):
        gb.load_backbone("org/name:last.pt")
