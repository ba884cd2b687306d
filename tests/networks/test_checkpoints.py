"""Loading: the official programs' checkpoints in all their wrappings, our own, and what is refused."""

from __future__ import annotations

import argparse
import collections
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import guidance_bench as gb
from guidance_bench.networks import official_layouts as layouts

DATA = Path(__file__).parents[1] / "data/official"
OFFICIAL = json.loads((DATA / "state_dicts.json").read_text())
GOLDEN = ("sit", "sit_ig", "lightningdit", "lightningdit_ig")
PREFIXES = ("", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.")


class Golden:
    """What an official program gave on a small random network, and that network's state dict."""

    def __init__(self, name: str) -> None:
        with safe_open(DATA / f"{name}.safetensors", "pt") as file:
            self.tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            self.about = json.loads(file.metadata()["about"])
        self.layout = name
        self.weights = {k.removeprefix("weights."): v for k, v in self.tensors.items() if k.startswith("weights.")}
        self.untold = {"num_heads": 4} | ({"tap": 2} if name.endswith("_ig") else {})
        self.data_time = self.about["convention"].startswith("t=0 noise")

    def check(self, backbone: gb.Backbone) -> None:
        """The backbone, in our convention, gives the official numbers within 1e-5."""
        x, t, y = (self.tensors[name] for name in "xty")
        sign = -1 if self.data_time else 1
        with torch.no_grad():
            prediction = backbone(x, 1 - t if self.data_time else t, y, taps=backbone.trained_taps)
        assert distance(sign * prediction.velocity, self.tensors["velocity"]) < 1e-5
        assert set(prediction.taps) == ({2} if "velocity_intermediate" in self.tensors else set())
        for tapped in prediction.taps.values():
            assert distance(sign * tapped, self.tensors["velocity_intermediate"]) < 1e-5


def distance(value: torch.Tensor, expected: torch.Tensor) -> float:
    return float((value - expected).norm() / expected.norm())


@pytest.fixture(params=GOLDEN)
def golden(request) -> Golden:
    return Golden(request.param)


def plain_sit() -> Golden:
    """The upstream golden without the half of its head that learn_sigma adds: no tensor shows its time."""
    golden = Golden("sit")
    for name in ("final_layer.linear.weight", "final_layer.linear.bias"):
        value = golden.weights[name]
        golden.weights[name] = value.view(4, 8, -1)[:, :4].reshape(16, *value.shape[1:])
    return golden


def refused(message: str, source, **arguments) -> None:
    with pytest.raises(gb.UserError, match=message) as caught:
        gb.load_backbone(source, **arguments)
    assert "\n" not in str(caught.value)


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


# -- files that are not read


class Hostile:
    """Asks the reader to run a command."""

    def __init__(self, path: Path) -> None:
        self.command = f"touch {path}"

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("how", ["zip", "legacy", "pickle 2", "pickle 4"])
def test_a_hostile_pickle_is_refused_and_does_not_run(tmp_path, how):
    ran, path = tmp_path / "ran", tmp_path / "hostile.pt"
    content = {"ema": Golden("sit").weights, "args": Hostile(ran)}
    if how.startswith("pickle"):
        path.write_bytes(pickle.dumps(Hostile(ran), protocol=int(how[-1])))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "zip")
    refused(r"hostile\.pt' is (refused: its pickle asks for \w+\.system|damaged)", path, num_heads=4)
    assert not ran.exists()
    if how == "legacy":
        pickle.loads(pickle.dumps(Hostile(ran)))  # it would have run
        assert ran.exists()


def test_whole_modules_are_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")
    refused("holds a whole object of torch.nn.modules.linear.Linear, not a state dict", tmp_path / "module.pt")


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize("kept", [0, 100, -1, -5000])
def test_truncated_files(tmp_path, suffix, kept):
    whole, path = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}"
    weights = Golden("sit").weights
    torch.save(weights, whole) if suffix == "pt" else save_file(weights, whole)
    path.write_bytes(whole.read_bytes()[:kept])
    refused(f"cut.{suffix}' is damaged, or no file of safetensors or torch.save", path, num_heads=4)


def test_files_of_another_kind(tmp_path):
    (tmp_path / "text.pt").write_text("hello")
    refused("text.pt' is damaged, or no file of", tmp_path / "text.pt")
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    refused("list.pt' holds a list, not a state dict", tmp_path / "list.pt")
    refused("nowhere.pt' is no file", tmp_path / "nowhere.pt")
    refused("' is a folder without model.safetensors", tmp_path)


# -- our own checkpoints


def test_native_round_trip(golden, tmp_path):
    first = gb.load_backbone(golden.weights, **golden.untold)
    gb.save_backbone(first, tmp_path / "new folder" / "backbone.safetensors")
    assert [path.name for path in (tmp_path / "new folder").iterdir()] == ["backbone.safetensors"]
    for layout in ("auto", "guidance_bench"):
        second = gb.load_backbone(tmp_path / "new folder/backbone.safetensors", layout=layout)
        golden.check(second)
        assert second.config == first.config and second.data_time == first.data_time
        assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_native_configuration_is_not_overridden(tmp_path):
    path = tmp_path / "sit.safetensors"
    golden = Golden("sit_ig")
    gb.save_backbone(gb.load_backbone(golden.weights, **golden.untold), path)
    golden.check(gb.load_backbone(path, num_heads=4, tap=2))
    refused("num_heads=8 contradicts its configuration, 4", path, num_heads=8)
    refused("has no parameter 'heads'", path, heads=4)
    refused("is a checkpoint of this project, its layout is 'guidance_bench', not 'sit'", path, layout="sit")


def test_a_damaged_native_configuration(tmp_path):
    path = tmp_path / "sit.safetensors"
    save_file({"a": torch.zeros(2)}, path, metadata={"guidance_bench": '{"backbone": "sit"}'})
    refused("the configuration in its metadata is damaged", path)


def test_a_failed_save_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "sit.safetensors"
    golden = Golden("sit")
    backbone = gb.load_backbone(golden.weights, num_heads=4)
    gb.save_backbone(backbone, path)

    def fail(tensors, file, metadata):
        Path(file).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("guidance_bench.networks.checkpoints.save_file", fail)
    with pytest.raises(gb.UserError, match="No space left"):
        gb.save_backbone(backbone, path)
    golden.check(gb.load_backbone(path))
    assert list(tmp_path.iterdir()) == [path]


def test_buffers_outside_the_state_dict_are_computed(tmp_path, monkeypatch):
    monkeypatch.setattr(gb.BACKBONES, "_entries", dict(gb.BACKBONES._entries))

    class Scaled(gb.Backbone):
        num_classes, shape, depth = 2, (1, 2, 2), 1

        def __init__(self, config):
            super().__init__()
            self.config = config
            self.weight = torch.nn.Parameter(torch.ones(1))
            self.register_buffer("two", torch.full((1,), 2.0), persistent=False)

        def predict(self, x, t, y, taps, edits):
            return gb.Prediction(x * self.weight * self.two)

    @gb.register_backbone("scaled")
    class ScaledConfig(gb.BackboneConfig):
        def build(self):
            return Scaled(self)

    backbone = ScaledConfig().build()
    torch.nn.init.constant_(backbone.weight, 3)
    gb.save_backbone(backbone, tmp_path / "scaled.safetensors")
    x = torch.ones(1, 1, 2, 2)
    loaded = gb.load_backbone(tmp_path / "scaled.safetensors")
    assert torch.equal(loaded(x, torch.zeros(1), torch.tensor([0])).velocity, 6 * x)


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
