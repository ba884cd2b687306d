"""Small random networks with what the official programs computed with them, and how a source is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

import guidance_bench as gb

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
