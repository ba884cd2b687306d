"""Exponential moving average of a network's weights."""

from __future__ import annotations

import copy

import torch
from torch import nn


class EMA:
    """Keeps an averaged copy of a network: average <- decay average + (1 - decay) weights."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after optimiser step ``step`` (from 0); the first steps average evenly."""
        decay = min(self.decay, (1 + step) / (10 + step))
        average = [p for p in self.network.parameters() if p.is_floating_point()]
        current = [p for p in network.parameters() if p.is_floating_point()]
        torch._foreach_lerp_(average, current, 1 - decay)
