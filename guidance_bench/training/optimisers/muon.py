"""Muon (Jordan et al., 2024, kellerjordan.github.io/posts/muon): momentum whose matrices are made nearly orthogonal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

#: Of the quintic iteration: steepest at zero, singular values end in about [0.7, 1.2].
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """As LightningDiT's half of CVL-UESTC/Internal-Guidance uses it (``muon_new.py``).

    With G the gradient as a matrix (rows, rest): B <- m B + (1 - m) G; U = orthogonal((1 - m) G + m B);
    W <- (1 - lr decay) W - lr 0.2 sqrt(max(a, b)) sqrt(max(1, rows / rest)) U, where a, b are W's first two sizes.

    Args:
        params: tensors of two and more dimensions.
        lr: learning rate.
        momentum: m.
        weight_decay: decay.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One step; gradients stay as they are."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                buffer = state.setdefault("momentum", torch.zeros_like(weight))
                buffer.lerp_(weight.grad, 1 - group["momentum"])
                update = torch.lerp(weight.grad, buffer, group["momentum"]).flatten(1)
                rows, rest = update.shape
                scale = 0.2 * max(weight.shape[:2]) ** 0.5 * max(1.0, rows / rest) ** 0.5
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(orthogonal(update).view_as(weight), alpha=-group["lr"] * scale)


def orthogonal(matrix: Tensor) -> Tensor:
    """The nearest matrix (a, b) with orthonormal rows or columns, roughly, by Newton and Schulz's iteration in bf16."""
    a, b, c = COEFFICIENTS
    x = matrix.bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.mT if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return (x.mT if tall else x).to(matrix.dtype)
