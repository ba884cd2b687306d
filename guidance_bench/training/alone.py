"""What the loop asks of accelerate, for a process that trains while the others of a run wait for the result."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn


class Alone:
    """One process, float32, on a device of its choice: no collective of the run's other processes is entered."""

    num_processes = 1
    is_main_process = True
    scaler = None

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def prepare(self, *things: Any) -> tuple[Any, ...]:
        """As they are."""
        return things

    def autocast(self) -> AbstractContextManager[None]:
        """Nothing is cast."""
        return nullcontext()

    def no_sync(self, model: nn.Module) -> AbstractContextManager[None]:
        """Nothing is synchronised."""
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        """Gradients."""
        torch.autograd.backward(loss)

    def clip_grad_norm_(self, parameters: Iterable[Tensor], largest: float) -> Tensor:
        """The gradient's norm before it is cut to ``largest``."""
        return torch.nn.utils.clip_grad_norm_(parameters, largest)

    def reduce(self, values: Tensor, how: str) -> Tensor:
        """Its own values."""
        return values

    def gather(self, values: Tensor) -> Tensor:
        """Its own values."""
        return values

    def wait_for_everyone(self) -> None:
        """There is nobody."""
