"""Batches prepared by a thread while the network takes the ones before."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from .draws import Batch, Batches

#: Batches prepared ahead of the network.
AHEAD = 2


def in_advance(batches: Batches, steps: range, part: slice) -> Iterator[Batch]:
    """One process's part of every step, in order.

    Raises:
        UserError: as the data's ``batch``, when the batch is asked for.
    """
    with ThreadPoolExecutor(1) as pool:
        waiting = [pool.submit(batches.batch, step, part) for step in steps[:AHEAD]]
        for place in range(len(steps)):
            batch = waiting.pop(0).result()
            waiting += [pool.submit(batches.batch, step, part) for step in steps[place + AHEAD : place + AHEAD + 1]]
            yield batch
