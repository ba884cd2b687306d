"""SiT and LightningDiT: names and shapes of the official programs, invariances of the options and edits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import guidance_bench as gb

OFFICIAL = json.loads((Path(__file__).parents[1] / "data/official/state_dicts.json").read_text())
TINY = {
    "hidden_size": 32,
    "depth": 3,
    "num_heads": 4,
    "input_size": 8,
    "patch_size": 2,
    "in_channels": 3,
    "num_classes": 5,
}
OPTIONS = {
    "sit": {},
    "sit with a head": {"tap": 2},
    "sit with everything": {"tap": 1, "qk_norm": True, "learn_sigma": True, "mlp_ratio": 2.5},
    "lightningdit": {},
    "lightningdit with everything": {"tap": 2, "qk_norm": True, "wo_shift": True, "learn_sigma": True},
    "lightningdit with nothing": {"rmsnorm": False, "swiglu": False, "rope": False},
    "lightningdit with layer norm": {"rmsnorm": False, "qk_norm": True},
}


def build(name: str, **parameters) -> gb.Backbone:
    """A tiny network with random weights everywhere: the usual initialisation would give velocity zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the same weights in every run of the tests
        backbone = gb.BACKBONES.create(name.split(maxsplit=1)[0], **{**TINY, **parameters}).build().eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return backbone


def inputs(n: int = 4, size: int = 8) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n, 3, size, size, generator=generator)
    return x, torch.rand(n, generator=generator), torch.arange(n) % 6


def velocity(backbone: gb.Backbone, *edits: gb.Edit) -> torch.Tensor:
    with torch.no_grad():
        return backbone(*inputs(), edits=edits).velocity


def official_config(name: str) -> gb.BackboneConfig:
    """The configuration of "SiT-XL/2+IG" and the like, as the official programs build it."""
    model, _, head = name.partition("+")
    kind, size, patch = model.replace("/", "-").split("-")
    cls = gb.BACKBONES.entry(kind.lower()).cls
    tap = None if not head else 4 if size == "B" else 8
    learn_sigma = kind == "SiT" and not head
    return gb.BACKBONES.create(kind.lower(), **cls.sizes[size], patch_size=int(patch), tap=tap, learn_sigma=learn_sigma)


@pytest.mark.parametrize("name", OFFICIAL)
def test_names_and_shapes_are_the_official_ones(name):
    with torch.device("meta"):
        backbone = official_config(name).build()
    assert {k: list(v.shape) for k, v in backbone.state_dict().items()} == OFFICIAL[name]["state_dict"]
    assert sum(p.numel() for p in backbone.parameters()) == OFFICIAL[name]["parameters"]


def test_every_official_size_can_be_built():
    patches = {"sit": (2, 4, 8), "lightningdit": (1, 2)}
    heads = {}
    for kind, sizes in ((kind, gb.BACKBONES.entry(kind).cls.sizes) for kind in patches):
        for size in sizes:
            for patch in patches[kind]:
                with torch.device("meta"):
                    backbone = gb.BACKBONES.create(kind, **sizes[size], patch_size=patch).build()
                assert len(backbone.blocks) == sizes[size]["depth"]
            heads[size] = sizes[size]["num_heads"]
    assert heads == {"S": 6, "B": 12, "L": 16, "XL": 16, "1p0B": 24, "1p6B": 28}


@pytest.mark.parametrize("name", OPTIONS)
def test_prediction(name):
    backbone = build(name, **OPTIONS[name])
    x, t, y = inputs()
    prediction = backbone(x, t, y, taps=backbone.trained_taps)
    assert prediction.velocity.shape == x.shape and prediction.velocity.isfinite().all()
    assert prediction.velocity.std() > 1e-2
    assert set(prediction.taps) == set(backbone.trained_taps)
    for tapped in prediction.taps.values():
        assert tapped.shape == x.shape and not torch.allclose(tapped, prediction.velocity)
    singles = torch.cat([backbone(x[i : i + 1], t[i : i + 1], y[i : i + 1]).velocity for i in range(len(x))])
    torch.testing.assert_close(singles, prediction.velocity, rtol=1e-4, atol=1e-5)
    for other in (backbone(x + 0.1, t, y), backbone(x, 1 - t, y), backbone(x, t, (y + 1) % 6)):
        assert not torch.allclose(other.velocity, prediction.velocity)


@pytest.mark.parametrize("name", ["sit", "lightningdit"])
def test_training_starts_at_velocity_zero_with_identity_blocks(name):
    backbone = gb.BACKBONES.create(name, **TINY, tap=2).build()
    prediction = backbone(*inputs(), taps=(2,))
    assert prediction.velocity.count_nonzero() == 0 and prediction.taps[2].count_nonzero() == 0
    (prediction.velocity - inputs()[0]).square().sum().backward()
    assert backbone.final_layer.linear.weight.grad.abs().sum() > 0 and not backbone.pos_embed.requires_grad


def test_data_time_turns_time_and_sign():
    backbone = build("sit", tap=1)
    x, t, y = inputs()
    here = backbone(x, t, y, taps=(1,))
    backbone.data_time = True
    there = backbone(x, 1 - t, y, taps=(1,))
    torch.testing.assert_close(there.velocity, -here.velocity, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(there.taps[1], -here.taps[1], rtol=1e-4, atol=1e-5)


def test_learn_sigma_leaves_the_first_half_of_the_channels():
    plain, sigma = build("sit"), build("sit", learn_sigma=True)
    weights = plain.state_dict()
    head = weights["final_layer.linear.weight"].view(2, 2, 3, 32)
    weights["final_layer.linear.weight"] = torch.cat([head, torch.randn_like(head)], dim=2).view(24, 32)
    bias = weights["final_layer.linear.bias"].view(2, 2, 3)
    weights["final_layer.linear.bias"] = torch.cat([bias, torch.randn_like(bias)], dim=2).flatten()
    sigma.load_state_dict(weights)
    torch.testing.assert_close(velocity(sigma), velocity(plain))


def test_no_shift_is_a_shift_of_zero():
    without, with_shift = build("lightningdit", wo_shift=True), build("lightningdit")
    weights = without.state_dict()
    for name in [n for n in weights if "blocks" in n and "adaLN" in n]:
        scale1, gate1, scale2, gate2 = weights[name].chunk(4)
        zero = torch.zeros_like(scale1)
        weights[name] = torch.cat([zero, scale1, gate1, zero, scale2, gate2])
    with_shift.load_state_dict(weights)
    torch.testing.assert_close(velocity(with_shift), velocity(without))


@pytest.mark.parametrize("name", ["sit", "lightningdit", "lightningdit with layer norm"])
def test_qk_norm_forgets_the_length_of_queries(name):
    options = {"rmsnorm": False} if "layer norm" in name else {}
    for qk_norm in (True, False):
        backbone = build(name, qk_norm=qk_norm, **options)
        before = velocity(backbone)
        with torch.no_grad():
            for block in backbone.blocks:
                block.attn.qkv.weight[:32] *= 3
                block.attn.qkv.bias[:32] *= 3
        assert torch.allclose(velocity(backbone), before, rtol=1e-2, atol=1e-3) is qk_norm


def test_rotary_scores_depend_on_the_offset_alone():
    backbone = build("lightningdit")
    query, key = torch.randn(2, 8).unbind()
    scores = (backbone.feat_rope(query.expand(16, 8)) @ backbone.feat_rope(key.expand(16, 8)).T).view(4, 4, 4, 4)
    torch.testing.assert_close(scores[:3, :3, :3, :3], scores[1:, :3, 1:, :3])
    torch.testing.assert_close(scores[:3, :3, :3, :3], scores[:3, 1:, :3, 1:])
    assert scores[0, 0].flatten().unique().numel() == 16


@pytest.mark.parametrize("name", ["sit", "lightningdit"])
def test_skipped_layers_are_as_if_not_there(name):
    backbone, shorter = build(name), build(name, depth=1)
    weights = {n: v for n, v in backbone.state_dict().items() if not n.startswith(("blocks.0", "blocks.2"))}
    shorter.load_state_dict({n.replace("blocks.1", "blocks.0"): v for n, v in weights.items()})
    torch.testing.assert_close(velocity(backbone, gb.Edit("skip_layers", (1, 3))), velocity(shorter))
    assert not torch.allclose(velocity(backbone), velocity(shorter))


@pytest.mark.parametrize("name", ["sit", "lightningdit"])
def test_identity_attention_keeps_tokens_apart(name):
    backbone = build(name)
    x, t, y = inputs()
    moved = x.clone()
    moved[:, :, :2, 2:4] += 1  # the second patch of the first row
    changed = {}
    for layers in ((), (1, 2), (1, 2, 3)):
        edits = (gb.Edit("identity_attention", layers),) if layers else ()
        difference = (backbone(moved, t, y, edits=edits).velocity - backbone(x, t, y, edits=edits).velocity).abs()
        changed[layers] = difference.amax((0, 1)).view(4, 2, 4, 2).amax((1, 3)) > 1e-5
    assert changed[()].all() and changed[1, 2].all()
    assert changed[1, 2, 3].nonzero().tolist() == [[0, 1]]


def test_identity_attention_is_nothing_to_a_single_token():
    backbone = build("sit", input_size=2)
    x, t, y = inputs(size=2)
    edited = backbone(x, t, y, edits=(gb.Edit("identity_attention", (1, 2, 3)),)).velocity
    torch.testing.assert_close(edited, backbone(x, t, y).velocity)


def test_edits_change_the_taps_after_them_alone():
    backbone = build("lightningdit", tap=2)
    x, t, y = inputs()
    plain = backbone(x, t, y, taps=(2,)).taps[2]
    for layer, same in ((3, True), (2, False)):
        edited = backbone(x, t, y, taps=(2,), edits=(gb.Edit("identity_attention", (layer,)),)).taps[2]
        assert torch.equal(edited, plain) is same


def test_velocity_has_the_dtype_of_the_parameters():
    backbone = build("lightningdit", qk_norm=True)
    x, t, y = inputs()
    single = backbone(x.double(), t.double(), y).velocity
    assert single.dtype == torch.float32
    assert torch.equal(single, backbone(x, t, y).velocity)
    double = backbone.double()(x, t, y).velocity
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), single, rtol=1e-4, atol=1e-5)
    half = backbone.bfloat16()(x, t, y).velocity
    assert half.dtype == torch.bfloat16 and (half - double).norm() / double.norm() < 0.05


@pytest.mark.parametrize("name", ["sit", "lightningdit"])
def test_autocast_trains(name):
    backbone = build(name, tap=1)
    x, t, y = inputs()
    with torch.autocast("cpu", torch.bfloat16):
        prediction = backbone(x, t, y, taps=(1,))
        (prediction.velocity.float().square().mean() + prediction.taps[1].float().square().mean()).backward()
    assert (prediction.velocity - velocity(backbone)).norm() / velocity(backbone).norm() < 0.05
    assert all(p.grad is not None and p.grad.isfinite().all() for p in backbone.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("sit", {"tap": 4}, "tap=4 lies beyond the last block, depth=3"),
        ("sit", {"num_heads": 5}, "hidden_size=32 is not a multiple of num_heads=5"),
        ("sit", {"patch_size": 3}, "input_size=8 is not a multiple of patch_size=3"),
        ("sit", {"hidden_size": 34, "num_heads": 2}, "hidden_size=34 is not a multiple of 4"),
        ("lightningdit", {"num_heads": 16}, "rope needs heads of a width that is a multiple of 4, this is 2"),
        ("sit", {"hiden_size": 64}, "did you mean 'hidden_size'"),
    ],
)
def test_impossible_configurations(name, parameters, message):
    with pytest.raises(gb.UserError, match=message):
        gb.BACKBONES.create(name, **{**TINY, **parameters})


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"taps": (1,)}, r"no trained head after block 1 \(heads after: 2\)"),
        ({"edits": (gb.Edit("skip_layers"),)}, "'skip_layers' names no block"),
        ({"edits": (gb.Edit("skip_layers", (4,)),)}, "block 4 is not in 1..3"),
        ({"edits": (gb.Edit("skip_layer", (1,)),)}, "has no edit 'skip_layer'"),
    ],
)
def test_impossible_requests(request_, message):
    with pytest.raises(gb.UserError, match=message):
        build("sit", tap=2)(*inputs(), **request_)


def test_parts_equal_timms():
    """The official programs build SiT from timm's attention, MLP and patch embedding."""
    from timm.models.vision_transformer import Attention, Mlp, PatchEmbed

    backbone = build("sit", qk_norm=True)
    block, tokens = backbone.blocks[1], torch.randn(2, 16, 32)
    attention = Attention(32, num_heads=4, qkv_bias=True, qk_norm=True, norm_layer=torch.nn.LayerNorm)
    mlp = Mlp(32, 128, act_layer=lambda: torch.nn.GELU(approximate="tanh"))
    embed = PatchEmbed(8, 2, 3, 32)
    for ours, theirs, x in (
        (block.attn, attention, tokens),
        (block.mlp, mlp, tokens),
        (backbone.x_embedder, embed, inputs()[0]),
    ):
        theirs.load_state_dict(ours.state_dict())
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_one_graph_for_the_compiler():
    backbone = build("lightningdit", tap=1, qk_norm=True)
    edits = (gb.Edit("identity_attention", (2,)),)
    compiled = torch.compile(backbone, backend="aot_eager", fullgraph=True)
    expected, actual = (network(*inputs(), taps=(1,), edits=edits) for network in (backbone, compiled))
    torch.testing.assert_close(actual.velocity, expected.velocity)
    torch.testing.assert_close(actual.taps[1], expected.taps[1])
