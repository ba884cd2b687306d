"""A network through torch.compile: the same numbers to rounding, sooner."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from ..core.console import warn
from .backbone import Backbone, Edit, Prediction

#: What a network says of itself, which its compiled form repeats.
FACTS = ("num_classes", "shape", "depth", "trained_taps", "null_label", "edits", "tokens", "data_time")


class Compiled(Backbone):
    """A backbone whose plain forward is compiled once for all batch sizes; edits and maps go the ordinary way.

    The first call with a new choice of taps compiles. On a GPU the kernels of a forward are launched at once, as one
    recorded graph for each batch size (CUDA graphs). Where the compiler is missing or fails, it says so once and the
    ordinary forward goes on.

    Attributes:
        network: the backbone itself.
        failed: the compiler could not be used.
    """

    def __init__(self, network: Backbone) -> None:
        super().__init__()
        self.network = network
        self.failed = False
        for fact in FACTS:
            setattr(self, fact, getattr(network, fact))
        self.float32_parts = tuple(f"network.{part}" for part in network.float32_parts)
        self._graphs = network.device.type == "cuda"
        options: dict[str, Any] | None = {"triton.cudagraphs": True} if self._graphs else None
        self._fast = torch.compile(_own_copy(_plain), fullgraph=True, options=options)

    def predict(
        self, x: Tensor, t: Tensor, y: Tensor, taps: Sequence[int], edits: Sequence[Edit], *, maps: Sequence[int] = ()
    ) -> Prediction:
        """As the network's own."""
        if edits or maps:
            return self.network.predict(x, t, y, taps, edits, **({"maps": maps} if maps else {}))
        if not self.failed:
            try:
                return Prediction(*self._run(x, t, y, tuple(taps)))
            except torch._dynamo.exc.TorchDynamoException as error:
                self.failed = True
                reason = " ".join(str(error).split())[:120]
                warn(f"compile=true: the compiler cannot be used here, going on without it ({reason})")
        return self.network.predict(x, t, y, taps, ())

    def _run(self, x: Tensor, t: Tensor, y: Tensor, taps: tuple[int, ...]) -> tuple[Tensor, dict[int, Tensor]]:
        for rows in (x, t, y):
            torch._dynamo.maybe_mark_dynamic(rows, 0)
        with torch._dynamo.config.patch(automatic_dynamic_shapes=False):  # the batch alone varies
            if not self._graphs:
                result: tuple[Tensor, dict[int, Tensor]] = self._fast(self.network, x, t, y, taps)
                return result
            torch.compiler.cudagraph_mark_step_begin()
            velocity, heads = self._fast(self.network, x, t, y, taps)
        # a graph writes its results to the same place at every call
        return velocity.clone(), {tap: head.clone() for tap, head in heads.items()}


def _plain(
    network: Backbone, x: Tensor, t: Tensor, y: Tensor, taps: tuple[int, ...]
) -> tuple[Tensor, dict[int, Tensor]]:
    prediction = network.predict(x, t, y, taps, ())
    return prediction.velocity, prediction.taps


def _own_copy(function: Any) -> Any:
    """The function with a code object of its own, by which the compiler keeps what it has made of it."""
    return FunctionType(function.__code__.replace(), function.__globals__, function.__name__)


@lru_cache(maxsize=4)
def compiled(backbone: Backbone) -> Backbone:
    """The compiled form of a network; the last four are kept, so that a line-up compiles once."""
    return backbone if isinstance(backbone, Compiled) else Compiled(backbone)
