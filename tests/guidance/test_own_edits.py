"""Edits that a method brings along, on the tokens, the attention or the whole of a block."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import guidance_bench as gb
from guidance_bench.core.randomness import KeyedRandom
from guidance_bench.networks import own_edits
from guidance_bench.sampling.method_contract import make_case, run_checks

CASE = make_case(gb.METHODS.create("none"), "sit")
NET = CASE.backbone


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    """What a test registers is forgotten after it."""
    gb.METHODS.names()
    monkeypatch.setattr(own_edits, "_EDITS", dict(own_edits._EDITS))
    monkeypatch.setattr(gb.METHODS, "_entries", dict(gb.METHODS._entries))


def predict(*edits: gb.Edit, network: gb.Backbone = NET) -> torch.Tensor:
    with torch.no_grad():
        return network(CASE.noise, torch.full((3,), 0.6), CASE.labels, edits=edits).velocity


@pytest.mark.parametrize("network", ["sit", "lightningdit"])
def test_an_attention_that_is_its_values_is_the_built_in_edit(network):
    @gb.register_edit("own_identity", "attention")
    def own_identity(edit, q, k, v):
        assert edit.layers in ((2,), (3,)) and q.shape == k.shape == v.shape
        return v

    @gb.register_edit("own_plain", "attention")
    def own_plain(edit, q, k, v):
        return F.scaled_dot_product_attention(q * edit.amount, k, v)

    net = make_case(gb.METHODS.create("none"), network).backbone
    built_in = predict(gb.Edit("identity_attention", (2, 3)), network=net)
    assert torch.equal(predict(gb.Edit("own_identity", (2, 3)), network=net), built_in)
    assert torch.equal(predict(gb.Edit("own_plain", (2, 3), 1.0), network=net), predict(network=net))
    assert not torch.equal(predict(gb.Edit("own_plain", (2, 3), 2.0), network=net), predict(network=net))


def test_a_block_that_is_not_run_is_a_skipped_one_and_rows_keep_apart():
    @gb.register_edit("own_skip", "block")
    def own_skip(edit, block, tokens):
        return tokens

    @gb.register_edit("own_half", "block")
    def own_half(edit, block, tokens):
        return (tokens + block(tokens)) / 2

    skipped = predict(gb.Edit("skip_layers", (2,)))
    assert torch.equal(predict(gb.Edit("own_skip", (2,))), skipped)
    some = predict(gb.Edit("own_skip", (2,), rows=(1, 2)))
    torch.testing.assert_close(some[1:2], skipped[1:2], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(some[[0, 2]], predict()[[0, 2]], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(predict(gb.Edit("own_half", (2,))), skipped)


def test_tokens_are_changed_for_good():
    """Shuffled for good in one block and back in the next, both without effect, the tokens are what they were."""
    order = torch.randperm(NET.tokens, generator=torch.Generator().manual_seed(0))

    @gb.register_edit("own_order", "tokens")
    def own_order(edit, tokens):
        return tokens[:, order if edit.layers == (2,) else order.argsort()]

    alone = gb.Edit("identity_attention", (2,))  # then block 2 treats each token by itself
    torch.testing.assert_close(predict(gb.Edit("own_order", (2, 3)), alone), predict(alone), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(predict(gb.Edit("own_order", (2,)), alone), predict(alone), atol=1e-3)


def test_a_plug_ins_edit_passes_every_check():
    @gb.register_edit("colder", "attention")
    def colder(edit, q, k, v):
        return F.scaled_dot_product_attention(q * edit.amount, k, v)

    @gb.register_method("cold")
    class Cold(gb.Guidance):
        """Away from a sharper attention."""

        scale: float = 1.5

        def guide(self, step, query):
            cond, weak = yield query, query.edited(gb.Edit("colder", layers=(2,), amount=4.0))
            return weak + self.scale * (cond - weak)

    for network in ("sit", "lightningdit"):
        assert run_checks(Cold(), network) == {}


def test_mistakes_are_one_sentence():
    with pytest.raises(
        gb.UserError, match="place='head' is not one of tokens, attention, attention_branch, mlp_branch, block"
    ):
        gb.register_edit("own", "head")
    with pytest.raises(gb.UserError, match="'skip_layers' is registered already, by guidance_bench"):
        gb.register_edit("skip_layers", "block")(lambda edit, block, tokens: tokens)
    gb.register_edit("own", "block")(lambda edit, block, tokens: tokens)
    with pytest.raises(gb.UserError, match="'own' is registered already, at .*test_own_edits.py"):
        gb.register_edit("own", "block")(predict)
    with pytest.raises(gb.UserError, match="has no edit 'owm' \\(it has: .*own"):
        predict(gb.Edit("owm", (1,)))
    with pytest.raises(gb.UserError, match="names no block"):
        predict(gb.Edit("own"))
    toy = gb.BACKBONES.create("toy").build()
    with pytest.raises(gb.UserError, match="ToyMixture has no place 'block' for edit 'own'"):
        toy.check(edits=(gb.Edit("own", (1,)),))


def test_tpgs_own_form_shuffles_the_stream_for_good_in_one_order():
    random = KeyedRandom(0, range(3), 4)
    layers = (2, 3)
    first, second = (
        torch.from_numpy(random.shared(f"stream_shuffle ({layer},)").permutation(NET.tokens)) for layer in layers
    )
    assert not torch.equal(first, second)

    @gb.register_edit("by_hand", "tokens")
    def by_hand(edit, tokens):
        return tokens[:, first if edit.layers == (2,) else second]

    expected = predict(gb.Edit("by_hand", layers))
    assert torch.equal(predict(gb.Edit("stream_shuffle", layers, random=random)), expected)
    method = gb.METHODS.create("tpg", form="stream", layers=layers)
    assert run_checks(method, "sit") == {}
    assert "form" not in gb.METHODS.create("tpg").parameters()
