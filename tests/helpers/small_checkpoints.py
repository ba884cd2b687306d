"""One small network's weights, and whether a source holds them or is refused."""

from __future__ import annotations

import pytest
import torch

import guidance_bench as gb

SMALL = {"hidden_size": 16, "depth": 1, "num_heads": 2, "input_size": 4, "in_channels": 2, "num_classes": 3}
TOLD = {"layout": "sit", "num_heads": 2}


def weights(seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    network = gb.BACKBONES.create("sit", **SMALL).build()
    return {name: torch.randn(tensor.shape) for name, tensor in network.state_dict().items()}


GOOD, RAW = weights(0), weights(1)


def check(source, expected=GOOD, **arguments) -> None:
    state = gb.load_backbone(source, **TOLD, **arguments).state_dict()
    assert state.keys() == expected.keys() and all(torch.equal(state[k], expected[k]) for k in expected)


def refused(message: str, source, **arguments) -> None:
    with pytest.raises(gb.UserError, match=message) as caught:
        gb.load_backbone(source, **TOLD, **arguments)
    assert "\n" not in str(caught.value)


def prefixed(prefix: str, tensors=GOOD) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}
