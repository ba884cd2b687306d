"""The few samples of each run that a leaderboard shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .shards import SampleStore, Shard

COLUMNS = 10
ROWS = 4

#: uint8 (N, H, W, C).
Images = NDArray[np.uint8]


class StoredSamples(Mapping[str, Images]):
    """The first samples of each run that has a sample store, read when asked for.

    Where there are no more than ``COLUMNS`` classes, the columns of the grid are the classes. The choice hangs on the labels
    alone, which all methods share for a seed, so each place of the grid is the same noise for every method.

    Args:
        folder: an output folder, ``<folder>/<run_id>/samples``.
        records: of the runs.
    """

    def __init__(self, folder: Path, records: Iterable[Mapping[str, Any]]) -> None:
        specs = {record["run_id"]: record["spec"] for record in records}
        self._stores = {
            run_id: SampleStore(folder / run_id / "samples", run_id, spec["samples"], spec["block"])
            for run_id, spec in specs.items()
            if (folder / run_id / "samples").is_dir()
        }

    def __getitem__(self, run_id: str) -> Images:
        store = self._stores[run_id]
        shard = store.read(*store.blocks[0])
        if shard is None:
            raise KeyError(run_id)
        return _choose(shard)

    def __iter__(self) -> Iterator[str]:
        return iter(self._stores)

    def __len__(self) -> int:
        return len(self._stores)


def _choose(shard: Shard) -> Images:
    """Row r holds the r-th sample of every class, where the classes fit; else the samples in their order."""
    classes = np.unique(shard.labels)
    places = [np.flatnonzero(shard.labels == c)[:ROWS] for c in classes]
    if len(classes) > COLUMNS or any(len(place) < ROWS for place in places):
        return shard.images[: COLUMNS * ROWS]
    return shard.images[np.stack(places, axis=1).ravel()]
