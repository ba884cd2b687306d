"""Our own checkpoints: saved, read back, never half written."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from golden_backbones import GOLDEN, Golden, refused
from safetensors.torch import save_file

import guidance_bench as gb


@pytest.fixture(params=GOLDEN)
def golden(request) -> Golden:
    return Golden(request.param)


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
