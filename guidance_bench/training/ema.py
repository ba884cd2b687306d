"""Exponential moving average of a network's weights."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

N = TypeVar("N", bound=nn.Module)


class EMA(Generic[N]):
    """Keeps an averaged copy of a network: average <- decay average + (1 - decay) weights.

    Args:
        network: whose weights the average begins with.
        decay: in [0, 1).
        ramp: the decay is at most (1 + step) / (10 + step), so that the first weights are soon forgotten.
    """

    def __init__(self, network: N, decay: float, ramp: bool = True) -> None:
        self.decay, self.ramp = decay, ramp
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after optimiser step ``step`` (from 0).

        With the ramp, after five steps the initial weights weigh .0005, and the weights after each step .0045, .0225,
        .082, .247 and .643.
        """
        decay = min(self.decay, (1 + step) / (10 + step)) if self.ramp else self.decay
        average: list[Tensor] = [p for p in self.network.parameters() if p.is_floating_point()]
        current: list[Tensor] = [p for p in network.parameters() if p.is_floating_point()]
        torch._foreach_lerp_(average, current, 1 - decay)
