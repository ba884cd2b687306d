"""One run on several processes: who comes first, who waits, and how all of them learn that one has failed.

``accelerate launch`` and ``torchrun`` set RANK, WORLD_SIZE and the address where the processes meet. Nothing but a few
words travels between them (samples go to disk), so they meet over gloo even on GPUs: waiting for hours while the first
process trains then neither keeps a GPU busy nor meets NCCL's ten-minute limit.

The meetings are accelerate's (``gather_object``, ``broadcast_object_list``). Two of its helpers are not used: with
``main_process_first`` all others would wait for ever where the first process fails, and ``split_between_processes`` of
its earlier versions gives a process without work the last item once more.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object
from torch import distributed

from .errors import UserError

T = TypeVar("T")

#: Longest wait of one process for another, for instance for training.
PATIENCE = timedelta(days=30)


def begin(device: torch.device) -> torch.device:
    """Meet the other processes, once; returns this process's device: the n-th GPU for the n-th process of a host.

    Raises:
        UserError: the processes cannot find each other.
    """
    options: dict[str, Any] = {"backend": "gloo", "timeout": PATIENCE} if "LOCAL_RANK" in os.environ else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that it chooses the number of threads
            state = PartialState(cpu=device.type == "cpu", **options)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"the processes of this run cannot meet: {str(error).splitlines()[0]}") from error
    if device.type == "cuda" and device.index is None and state.num_processes > 1:
        return torch.device("cuda", state.local_process_index % torch.cuda.device_count())
    return device


def is_first() -> bool:
    """Whether this is the process that trains, evaluates, writes records and talks."""
    return bool(PartialState().is_main_process)


def share(items: list[T]) -> list[T]:
    """This process's part of a list that is the same on all."""
    state = PartialState()
    return items[state.process_index :: state.num_processes]


def gather(items: list[T]) -> list[T]:
    """The lists of all processes, one after the other, on every process; returns once all have come here."""
    gathered: list[T] = items
    if distributed.is_initialized():
        gathered = _meet(lambda: gather_object(items))
    return gathered


def agree(work: Callable[[], T]) -> T:
    """Do ``work`` on the first process alone; every process returns its value, a plain one.

    Where it raises, the first process raises the same and says so; the others leave quietly with exit status 2.
    """
    if not distributed.is_initialized():
        return work()
    outcome: list[Any] = [None, False]
    try:
        if is_first():
            outcome = [work(), True]
    finally:
        _meet(lambda: broadcast_object_list(outcome))
    if not outcome[1]:
        raise SystemExit(2)
    value: T = outcome[0]
    return value


def after_first(work: Callable[[], T]) -> T:
    """Do ``work`` on the first process, then on the others, which find on disk what the first has made."""
    made: list[T] = []

    def first() -> None:
        made.append(work())

    agree(first)
    return made[0] if made else work()


def _meet(collective: Callable[[], T]) -> T:
    try:
        return collective()
    except RuntimeError as error:  # gloo's only word for a peer that is gone
        raise UserError("another process of this run has stopped; the same command continues where it was") from error
