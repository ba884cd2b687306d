"""How a training is carried out: devices, precision, memory, and what an ending says."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import nn
from torch.utils.checkpoint import checkpoint

from ..core.arrays import float32_products
from ..core.errors import UserError
from ..core.processes import begin
from ..networks.backbone import Backbone
from ..networks.compiled import Compiled
from .alone import Alone
from .recipe import TrainingRecipe

#: (step, averaged network) to numbers by name.
Observer = Callable[[int, Backbone], Mapping[str, float]]


@dataclass(frozen=True)
class Execution:
    """What changes a training's time and memory, and its result not beyond rounding.

    Attributes:
        accumulate: parts that a process's share of a batch is passed through the network in.
        checkpointing: activations of the blocks are computed again instead of kept.
        compile: the network through torch.compile.
        log_every: steps from one row of the log to the next.
        checkpoint_every: steps from one checkpoint to the next; 0: by time.
        checkpoint_seconds: time from one checkpoint to the next.
        keep_last: checkpoints kept.
        keep_every: steps from one set of averaged weights kept for good (``snapshots/``) to the next; 0: none.
        tracker: "tensorboard" or "wandb", beside the log; "": none. Their files lie beside
            it, TensorBoard's in ``tracking/``, W&B's in ``wandb/``.
        observe_every: steps from one look of ``observer`` to the next, and one at the end; 0: none.
        observer: sees the step and the first averaged network in evaluation mode, on the first process; the numbers
            that it returns go to the log's file beside (``observed.csv``) and the tracker.
        alone: this process trains while the others of its run wait for the result.
    """

    accumulate: int = 1
    checkpointing: bool = False
    compile: bool = False
    log_every: int = 50
    checkpoint_every: int = 0
    checkpoint_seconds: float = 60.0
    keep_last: int = 2
    keep_every: int = 0
    tracker: str = ""
    observe_every: int = 0
    observer: Observer | None = None
    alone: bool = False


def make_accelerator(
    recipe: TrainingRecipe, device: torch.device, execution: Execution, place: Path
) -> Accelerator | Alone:
    """accelerate's view of the processes, in the recipe's precision, with its tracker's files under ``place``.

    Raises:
        UserError: the processes cannot meet, the batch cannot be shared out evenly, or fp16 without a GPU.
    """
    if execution.alone:
        return Alone(device)
    begin(device)
    AcceleratorState._reset_state()  # one program may train in several precisions, one after the other
    mixed = recipe.precision if recipe.precision in ("bf16", "fp16") else "no"
    if mixed == "fp16" and device.type != "cuda":
        raise UserError(f"recipe.precision='fp16' needs a CUDA device, this is {device.type!r}; take bf16 or fp32")
    tracked: dict[str, Any] = {"log_with": execution.tracker, "project_dir": str(place)} if execution.tracker else {}
    accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision=mixed, **tracked)
    parts = accelerator.num_processes * execution.accumulate
    if recipe.batch % parts:
        raise UserError(
            f"recipe.batch={recipe.batch} cannot be shared by {accelerator.num_processes} processes in "
            f"accumulate={execution.accumulate} parts; give a multiple of {parts}"
        )
    return accelerator


def prepared(
    accelerator: Accelerator | Alone, execution: Execution, network: Backbone, optimisers: list[torch.optim.Optimizer]
) -> list[Any]:
    """The network as it is called, and the optimisers as they are stepped."""
    if execution.checkpointing:
        for block in getattr(network, "blocks", nn.ModuleList()):
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    called = Compiled(network) if execution.compile else network
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        ready = accelerator.prepare(called, *optimisers)
    return list(ready)


@contextmanager
def explained(name: str, recipe: TrainingRecipe, execution: Execution) -> Iterator[None]:
    """TF32 as the recipe says; what runs out of memory names the knobs."""
    try:
        with float32_products(tf32=recipe.precision == "tf32"):
            yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, (MemoryError, torch.OutOfMemoryError)) and "allocate memory" not in str(error):
            raise
        raise UserError(
            f"training {name} ran out of memory: give accumulate={2 * execution.accumulate}, checkpointing=true, "
            f"recipe.precision=bf16, or a smaller recipe.batch than {recipe.batch} (the last two are other recipes); "
            "the same command goes on from the last checkpoint"
        ) from error
