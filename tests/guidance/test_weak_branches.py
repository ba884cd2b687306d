"""Weak branches by registered edits, against what their formulas or their programs give for the same tensors."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import pytest
import torch
from guidance_bench.methods.ssg import swapped
from torch import Tensor, nn
from written_formulas import swap

import guidance_bench as gb
from guidance_bench.core.randomness import KeyedRandom
from guidance_bench.experiments.benchmark import Setting
from guidance_bench.experiments.preflight.cost import _counted
from guidance_bench.experiments.runner import Runner
from guidance_bench.experiments.workspace import Workspace
from guidance_bench.networks.own_edits import own_edit
from guidance_bench.sampling.driver import Driver, run_guide
from guidance_bench.sampling.dry_run import dry_steps
from guidance_bench.sampling.method_contract import make_case, tiny

CASE = make_case(gb.METHODS.create("none"), "sit")
NET, X = CASE.backbone, CASE.noise
SIDE, CPU = 4, torch.device("cpu")
#: A step at t = 0.6.
STEP = dry_steps(gb.METHODS.create("none"), X.double(), CASE.labels, NET)[4]
DRAW = torch.Generator().manual_seed(3)


def predict(*edits: gb.Edit, network: gb.Backbone = NET, x: Tensor = X) -> Tensor:
    with torch.no_grad():
        return network(x, torch.full((len(x),), 0.6), CASE.labels, edits=edits).velocity


def guided(name: str, **parameters) -> tuple[Tensor, gb.Ledger]:
    ledger = gb.Ledger()
    driver = Driver(NET, CASE.labels, None, ledger)
    with torch.inference_mode():
        return run_guide(gb.METHODS.create(name, **parameters), STEP, driver.answering(STEP)).float().clone(), ledger


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def cut_out(top: int, left: int, size: int) -> Tensor:
    """What a network of that size, with the positions of the window, makes of the window cut out of the latents."""
    shape = {"input_size": 2 * size, "patch_size": 2, "in_channels": 2, "num_classes": 5, "hidden_size": 16}
    small = gb.BACKBONES.create("sit", **shape, num_heads=2, depth=4, tap=2).build().eval()
    weights = dict(NET.state_dict())
    positions = weights["pos_embed"].view(1, SIDE, SIDE, -1)[:, top : top + size, left : left + size]
    small.load_state_dict({**weights, "pos_embed": positions.flatten(1, 2)})
    return predict(network=small, x=X[..., 2 * top : 2 * (top + size), 2 * left : 2 * (left + size)])


@pytest.mark.parametrize(("size", "masked"), [(0.625, True), (0.75, False), (0.5, False)])
def test_swg_is_the_programs_loop_over_windows_cut_out(size, masked):
    tokens, total, count = math.ceil(SIDE * size), torch.zeros_like(X), torch.zeros_like(X)
    stride = (SIDE - tokens) // (2 - 1)
    for i, j in product(range(2), range(2)):
        rows, columns = (slice(2 * stride * k, 2 * (stride * k + tokens)) for k in (i, j))
        total[..., rows, columns] += cut_out(stride * i, stride * j, tokens)
        count[..., rows, columns] += 1
    plain = predict()
    where = (count > 1).float() if masked else 1.0
    made, ledger = guided("swg", scale=1.8, size=size, masked=masked)
    close(made, plain + 0.8 * where * (plain - total / count))
    assert ledger.main == 5


def test_one_window_of_all_tokens_sees_what_the_network_sees():
    close(guided("swg", scale=3.0, size=1.0, masked=False)[0], predict())


def test_networks_without_tokens_have_no_windows():
    with pytest.raises(gb.UserError, match="swg' cuts windows out of a grid of tokens"):
        next(gb.METHODS.create("swg").guide(replace(STEP, tokens=0), gb.Query()))


@pytest.mark.parametrize("ratio", [0.1, 0.3, 0.5])
def test_unlike_rows_are_swapped_as_the_program_writes_them(ratio):
    rows = torch.randn(4, 30, 7, generator=DRAW)
    expected = torch.stack([swap(sample, ratio) for sample in rows])
    made = swapped(rows, ratio)
    assert torch.equal(made, expected) and not torch.equal(made, rows)


def test_the_least_ratio_swaps_one_pair_and_back_again():
    rows = torch.randn(2, 30, 7, generator=DRAW)
    once = swapped(rows, 0.001)
    assert [int((a != b).any(1).sum()) for a, b in zip(once, rows, strict=True)] == [2, 2]
    assert torch.equal(swapped(once, 0.001), rows)


def test_ssg_swaps_tokens_then_channels_before_its_blocks():
    @gb.register_edit("by_hand_swap", "tokens")
    def by_hand(edit, tokens):
        return swapped(swapped(tokens, 0.3).transpose(1, 2), 0.3).transpose(1, 2)

    plain, weak = predict(), predict(gb.Edit("by_hand_swap", (2, 3)))
    made, ledger = guided("ssg", scale=1.8, ratio=0.3, layers=(2, 3))
    close(made, weak + 1.8 * (plain - weak))
    assert ledger.main == 2


def test_a_temperature_of_one_changes_nothing_and_of_zero_leaves_the_mean_of_the_values():
    @gb.register_edit("mean_of_values", "attention")
    def mean_of_values(edit, q, k, v):
        return v.mean(2, keepdim=True).expand_as(v)

    close(predict(gb.Edit("attention_temperature", (2, 3), 1.0)), predict())
    close(predict(gb.Edit("attention_temperature", (2, 3), 0.0)), predict(gb.Edit("mean_of_values", (2, 3))))


def test_erg_follows_its_formula_inside_its_interval():
    @gb.register_edit("written_out", "attention")
    def written_out(edit, q, k, v):
        return torch.softmax(0.25 * q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]), -1) @ v

    plain, weak = predict(), predict(gb.Edit("written_out", (1, 4)))
    close(guided("erg", scale=1.8, tau=0.25, layers=(1, 4))[0], weak + 1.8 * (plain - weak))
    with torch.no_grad():
        null = torch.full((3,), NET.num_classes)
        away = NET(X, torch.full((3,), 0.6), null, edits=[gb.Edit("written_out", (1, 4))]).velocity
    close(guided("erg", scale=1.8, tau=0.25, layers=(1, 4), classless=True)[0], away + 1.8 * (plain - away))
    outside, ledger = guided("erg", scale=1.8, low=0.7)
    close(outside, plain)
    assert ledger.main == 1


def test_dropout_drops_each_samples_own_share_and_keeps_the_mean():
    made = torch.randn(3, 16, 40, generator=DRAW)
    edit = gb.Edit("dropout", (2,), 0.25, KeyedRandom(0, range(3), 5))
    dropped = own_edit("dropout").function(edit, lambda tokens: tokens, made)
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], made[kept] / 0.75)
    assert abs(float(kept.float().mean()) - 0.75) < 0.02
    alone = gb.Edit("dropout", (2,), 0.25, KeyedRandom(0, [1], 5))
    assert torch.equal(own_edit("dropout").function(alone, lambda tokens: tokens, made[1:2]), dropped[1:2])
    other = gb.Edit("dropout", (3,), 0.25, KeyedRandom(0, range(3), 5))
    assert not torch.equal(own_edit("dropout").function(other, lambda tokens: tokens, made) != 0, kept)


class Blocks(nn.Module):
    """One block of diffusers' attention and MLP without norms and gates, as its hooks find them."""

    def __init__(self) -> None:
        super().__init__()
        attention = pytest.importorskip("diffusers.models.attention")
        processor = pytest.importorskip("diffusers.models.attention_processor")
        block = nn.Module()
        block.attn = processor.Attention(query_dim=16, heads=2, dim_head=8, bias=True)
        block.ff = attention.FeedForward(16)
        self.blocks = nn.ModuleList([block])

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.blocks[0].attn(x)
        return x + self.blocks[0].ff(x)


@pytest.mark.parametrize("part", ["attention", "mlp"])
def test_a_part_of_a_block_is_left_out_as_by_diffusers_hook(part):
    hooks = pytest.importorskip("diffusers.hooks.layer_skip")
    torch.manual_seed(0)
    theirs, x = Blocks().eval(), torch.randn(2, 9, 16)
    places = {"attention": ("skip_attention", "attention_branch"), "mlp": ("skip_mlp", "mlp_branch")}
    kind, place = places[part]
    edit = own_edit(kind)
    assert edit.place == place

    def ours(name: str, branch, tokens: Tensor) -> Tensor:
        return edit.function(gb.Edit(kind, (1,)), branch, tokens) if name == part else branch(tokens)

    block = theirs.blocks[0]
    with torch.no_grad():
        plain = theirs(x)
        middle = x + ours("attention", block.attn, x)
        expected = middle + ours("mlp", block.ff, middle)
        skips = {"skip_attention": part == "attention", "skip_ff": part == "mlp"}
        hooks.apply_layer_skip(theirs, hooks.LayerSkipConfig([0], fqn="blocks", **skips))
        assert torch.equal(theirs(x), expected) and not torch.allclose(plain, expected)


@pytest.mark.parametrize("part", ["attention", "mlp"])
def test_slg_without_a_part_of_its_blocks(part):
    kind = f"skip_{part}"
    plain, weak = predict(), predict(gb.Edit(kind, (2,)))
    assert not torch.allclose(plain, weak)
    assert not torch.allclose(weak, predict(gb.Edit("skip_layers", (2,))))
    made, ledger = guided("slg", skip_scale=1.8, layers=(2,), part=part)
    close(made, plain + 0.8 * (plain - weak))
    assert ledger.main == 2 and "part" not in gb.METHODS.create("slg").parameters()


@pytest.mark.parametrize("network", ["sit", "lightningdit"])
def test_a_block_without_its_attention_and_its_mlp_adds_its_gated_inputs(network):
    """Both parts left out, by hand from the block's own modulation."""
    net = tiny(network)
    block = net.blocks[1]
    tokens, condition = torch.randn(2, 16, 16, generator=DRAW), torch.randn(2, 16, generator=DRAW)
    edits = [gb.Edit(kind, (2,)) for kind in ("skip_attention", "skip_mlp")]
    with torch.no_grad():
        made = block(tokens, condition, net.feat_rope, edits)
        parts = block.adaLN_modulation(condition)
        half = len(parts) // 2
        expected = tokens
        for norm, (*shift, scale, gate) in ((block.norm1, parts[:half]), (block.norm2, parts[half:])):
            expected = expected + gate * (norm(expected) * (1 + scale) + (shift[0] if shift else 0))
    torch.testing.assert_close(made, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "evaluations"), [("swg", 5), ("ssg", 2), ("erg", 2), ("dropout", 2), ("cfg", 2)])
def test_what_a_run_costs_is_known_before_it_starts(name, evaluations, tmp_path):
    runner = Runner(gb.BENCHMARKS.create("digits"), gb.SOLVERS.create("euler", steps=3), Workspace(tmp_path), CPU)
    counted = _counted(Setting(name, {}), runner, 6)
    assert counted is not None and counted.main == 3 * evaluations
