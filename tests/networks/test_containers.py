"""Training programs' containers around one small network: what is found, and what is said."""

from __future__ import annotations

import pytest
import torch
from small_checkpoints import GOOD, RAW, check, prefixed, refused, weights

import guidance_bench as gb

ENTRIES = (
    "state_dict", "model_state_dict", "ema_state_dict", "state_dict_ema", "module", "EMA", "ema_params", "model_ema",
    "net", "ema", "model",
)  # fmt: skip


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_of_any_program(entry):
    check({entry: GOOD, "epoch": 3, "optimizer": {"state": {0: torch.zeros(2)}}})


@pytest.mark.parametrize("inner", ["state_dict", "shadow", "module", "model", "ema_model"])
def test_an_average_that_is_wrapped_itself(inner, capsys):
    check({"ema": {"decay": 0.999, "num_updates": 5, inner: GOOD}, "model": RAW})
    assert f"the averaged weights under 'ema.{inner}' are taken" in capsys.readouterr().err


@pytest.mark.parametrize(
    "prefix",
    ["model.", "net.", "_fsdp_wrapped_module.", "module.", "model._fsdp_wrapped_module.module._orig_mod.", "ema."],
)
@pytest.mark.parametrize("entry", [None, "state_dict", "ema"])
def test_prefixes(prefix, entry):
    check({entry: prefixed(prefix)} if entry else prefixed(prefix))


def test_blocks_wrapped_one_by_one():
    inside = {
        name.replace("blocks.0.", "blocks.0._fsdp_wrapped_module._checkpoint_wrapped_module."): tensor
        for name, tensor in GOOD.items()
    }
    check({"model": inside})


@pytest.mark.parametrize("average", ["ema", "EMA", "ema_params", "model_ema", "ema_state_dict"])
@pytest.mark.parametrize("raw", ["model", "state_dict", "module"])
def test_which_weights_were_taken_is_said(average, raw, capsys):
    content = {raw: RAW, average: GOOD}
    check(content)
    told = capsys.readouterr().err
    assert f"'{average}' are taken; weights='model' takes those under '{raw}'" in told and told.count("\n") == 1
    check(content, RAW, weights="model")
    check(content, weights="ema")
    assert not capsys.readouterr().err


def test_both_sets_in_one_state_dict(capsys):
    """As LightningModule, and averages that keep the trained network inside, write them."""
    check({"state_dict": prefixed("model.", RAW) | prefixed("ema.")})
    assert "'state_dict.ema' are taken; weights='model' takes those under 'state_dict.model'" in capsys.readouterr().err
    average = (
        prefixed("online_model.", RAW) | prefixed("ema_model.") | {"initted": torch.ones(1), "step": torch.ones(1)}
    )
    check({"ema": average})
    check({"ema": average}, RAW, weights="model")
    check({"ema": average, "model": weights(2)}, weights(2), weights="model")
    check(prefixed("module.") | {"n_averaged": torch.tensor(7)})


@pytest.mark.parametrize("empty", [{}, None])
def test_an_empty_average_beside_a_full_model(empty, capsys):
    check({"ema": empty, "model": GOOD})
    assert "the weights under 'model' are taken; its 'ema' is empty" in capsys.readouterr().err
    refused(
        r"holds no 'ema' weights \(it has: 'model'\); its 'ema' is empty", {"ema": empty, "model": GOOD}, weights="ema"
    )


def test_one_set_of_weights_needs_no_word(capsys):
    check({"model": GOOD})
    check(GOOD)
    assert not capsys.readouterr().err


def test_an_average_without_names():
    content = {"ema": {"decay": 0.99, "shadow_params": list(GOOD.values())}, "model": GOOD}
    refused("'ema.shadow_params' keeps tensors without names, .* weights='model' takes", content)
    check(content, weights="model")


def test_names_of_our_own_networks_are_left_alone(tmp_path, monkeypatch):
    """A network whose parts are called as other programs' wrappings."""
    monkeypatch.setattr(gb.BACKBONES, "_entries", dict(gb.BACKBONES._entries))

    class Inner(gb.Backbone):
        num_classes, shape, depth = 2, (1, 2, 2), 1

        def __init__(self, config):
            super().__init__()
            self.config = config
            self.model = torch.nn.Linear(1, 1)

        def predict(self, x, t, y, taps, edits):
            return gb.Prediction(x)

    @gb.register_backbone("inner")
    class InnerConfig(gb.BackboneConfig):
        def build(self):
            return Inner(self)

    gb.save_backbone(InnerConfig().build(), tmp_path / "inner.safetensors")
    assert "model.weight" in gb.load_backbone(tmp_path / "inner.safetensors").state_dict()


# -- numbers


def test_weights_that_are_no_numbers():
    name = "blocks.0.attn.qkv.weight"
    refused(rf"{name} holds int8, not floating-point weights; quantised", GOOD | {name: GOOD[name].to(torch.int8)})
    for bad in (float("nan"), float("inf"), -float("inf")):
        broken = GOOD[name].clone()
        broken[3, 2] = bad
        refused(rf"{name} holds a weight that is not finite: the training .* diverged", GOOD | {name: broken})
        refused("not finite", GOOD | {name: broken.half()})
    half = {k: v.bfloat16() for k, v in GOOD.items()}
    check(half, {k: v.float() for k, v in half.items()})
