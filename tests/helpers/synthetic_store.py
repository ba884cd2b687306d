"""Sample stores of made-up images, and ways to damage a file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from guidance_bench.storage.sample_store import SampleStore, Shard

COST = {"forwards": 4.0, "main": 8.0, "weak": 0.0, "nfe": 8.0, "seconds": 0.5, "batch": 10.0}


def images_of(start: int, stop: int, shape: tuple[int, ...]) -> np.ndarray:
    """Pixels that hang on the index alone."""
    rows = [np.random.default_rng(i).integers(0, 256, shape, dtype=np.uint8) for i in range(start, stop)]
    return np.stack(rows)


def fill(
    folder: Path, count: int = 25, block: int = 10, shape: tuple[int, ...] = (6, 6, 3), run_id: str = "abc"
) -> SampleStore:
    store = SampleStore(folder / "samples", run_id, count, block)
    for start, stop in store.blocks:
        labels = np.arange(start, stop, dtype=np.int64) * 7 % 10
        store.write(Shard(start, stop, images_of(start, stop, shape), labels, COST))
    return store


def flip(path: Path, place: int) -> None:
    """Change one bit of the byte at ``place`` (negative: from the end)."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(bytes(content))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def shard() -> Shard:
    return Shard(0, 10, images_of(0, 10, (6, 6, 3)), np.zeros(10, np.int64), COST)


def aged(store: SampleStore, seconds: int = 60) -> SampleStore:
    """The store as if its shards had been written a while ago."""
    for block in store.blocks:
        before = store.path(*block).stat()
        os.utime(store.path(*block), ns=(before.st_atime_ns, before.st_mtime_ns - seconds * 10**9))
    return store
