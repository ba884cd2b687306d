"""One run on several processes: who comes first, who waits, and how all of them learn that one has failed.

``accelerate launch`` and ``torchrun`` set RANK, WORLD_SIZE and the address where the processes meet. Nothing but a few
words travels between them (samples go to disk), so they meet over gloo even on GPUs: waiting for hours while the first
process trains then neither keeps a GPU busy nor meets NCCL's ten-minute limit.

The meetings are accelerate's (``gather_object``, ``broadcast_object_list``). Two of its helpers are not used: with
``main_process_first`` all others would wait for ever where the first process fails, and ``split_between_processes`` of
its earlier versions gives a process without work the last item once more.
"""

from __future__ import annotations

import atexit
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from typing import Any, TypeVar

import torch
import torch.distributed.nn.functional  # now: once processes have met, its arguments' defaults would hold the group
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object
from torch import distributed

from .errors import UserError

T = TypeVar("T")
R = TypeVar("R")

#: Longest wait of one process for another, for instance for training.
PATIENCE = timedelta(days=30)

#: Whether the processes have met here, in :func:`begin`; a program of the user's own that calls us has met elsewhere.
_met = False
#: How many pieces of work that one process does while others wait are under way here.
_alone = 0


def begin(device: torch.device) -> torch.device:
    """Meet the other processes, once; returns this process's device: the n-th GPU for the n-th process of a host.

    Raises:
        UserError: the processes cannot find each other.
    """
    met_elsewhere = distributed.is_initialized()
    options: dict[str, Any] = {"backend": "gloo", "timeout": PATIENCE} if "LOCAL_RANK" in os.environ else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that it chooses the number of threads
            state = PartialState(cpu=device.type == "cpu", **options)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"the processes of this run cannot meet: {str(error).splitlines()[0]}") from error
    global _met
    if not (_met or met_elsewhere):
        atexit.register(_part)
    _met = True
    if device.type == "cuda" and device.index is None and state.num_processes > 1:
        return torch.device("cuda", state.local_process_index % torch.cuda.device_count())
    return device


def _part() -> None:
    """Leave the others at the interpreter's end: a group's threads that outlive it abort the process, now and then.

    They end with the last reference to the group; torch's own is dropped here.
    """
    if distributed.is_initialized():
        distributed.destroy_process_group()


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
            with _by_itself():
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
    if made:
        return made[0]
    with _by_itself():
        return work()


def spread(items: Iterable[T], work: Callable[[T], R]) -> Iterator[R]:
    """The results of ``work`` on all items in order, on every process, each of which does every n-th.

    Inside the work of :func:`agree` and :func:`after_first`, which others wait for, one process does all of it.

    Args:
        items: the same on all processes; read by each of them, a turn of the processes at a time.
        work: what it gives must be small enough to be sent to the others.
    """
    place, count = turn()
    if count == 1:
        yield from map(work, items)
        return
    left = iter(items)
    while round_ := list(islice(left, count)):
        yield from gather([work(item) for item in round_[place : place + 1]])


def turn() -> tuple[int, int]:
    """Which of the items that :func:`spread` gives out are this process's: the first of them, and of how many one."""
    if not distributed.is_initialized() or not _met or _alone:
        return 0, 1
    state = PartialState()
    return state.process_index, state.num_processes


@contextmanager
def _by_itself() -> Iterator[None]:
    global _alone
    _alone += 1
    try:
        yield
    finally:
        _alone -= 1


def _meet(collective: Callable[[], T]) -> T:
    try:
        return collective()
    except RuntimeError as error:  # gloo's only word for a peer that is gone
        raise UserError("another process of this run has stopped; the same command continues where it was") from error
