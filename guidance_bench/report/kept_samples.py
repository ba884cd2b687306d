"""The samples of a record that are at hand, and how far samples that are made again are from them.

A record holds digests alone, which say that samples differ and not by how much. Pixels to measure it by are those of
the run's own store, else the few first ones that a run keeps beside its record, else those of the sample grids that
come with a collection of records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import UserError
from ..experiments.evidence import block_digest, read_witness, witness_path
from ..leaderboard.figures.sample_grids import choose
from ..storage.image_files import read_sheet
from ..storage.sample_store import SampleStore, Shard

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Apart:
    """Two sets of images, in grey levels.

    Attributes:
        count: images that were compared.
        largest: difference of any value.
        mean: difference of all values.
    """

    count: int = 0
    largest: int = 0
    mean: float = 0.0

    @classmethod
    def of(cls, here: Images, there: Images) -> Apart:
        """Images (N, H, W, C) uint8 beside as many of the same form."""
        levels = np.abs(here.astype(np.int16) - there)
        return cls(len(levels), int(levels.max()), float(levels.mean()))

    def __add__(self, other: Apart) -> Apart:
        count = self.count + other.count
        mean = (self.count * self.mean + other.count * other.mean) / max(count, 1)
        return Apart(count, max(self.largest, other.largest), mean)

    def words(self) -> str:
        """Both differences, for people."""
        return f"largest difference {self.largest} of 255, mean {self.mean:.2g}"


@dataclass(frozen=True)
class Few:
    """Some samples of a run's first block.

    Attributes:
        images: themselves.
        pick: the same ones of the block that is made again.
        words: whose they are.
    """

    images: Images
    pick: Callable[[Shard], Images]
    words: str


class KeptSamples:
    """Samples of a record.

    Args:
        record: valid.
        path: of the record, beside which a few may lie.
        store: of the run; a block of it counts where it is the record's.
    """

    def __init__(self, record: Mapping[str, Any], path: Path, store: SampleStore) -> None:
        self._samples, self._store = record["samples"], store
        self.few = few_of(record, path)

    def is_same(self, made: Shard) -> bool | None:
        """Whether a block has the bits of the record; None where nothing tells."""
        told = self._by_digest(made)
        if told is not None:
            return told
        stored = self._stored(made)
        return None if stored is None else bool(np.array_equal(stored.images, made.images))

    def apart(self, made: Shard) -> tuple[Apart, str]:
        """How far a block is from samples of the record that are at hand, and from which; of no images without any."""
        stored = self._stored(made)
        if stored is not None:
            return Apart.of(made.images, stored.images), "those stored here"
        if self.few is not None and made.start == 0:
            picked = self.few.pick(made)
            if picked.shape == self.few.images.shape:
                return Apart.of(picked, self.few.images), self.few.words
        return Apart(), ""

    def _stored(self, made: Shard) -> Shard | None:
        """The same block of the store, if it is the record's: another machine's run of this name has other bits."""
        stored = self._store.read(made.start, made.stop)
        if stored is None:
            return None
        told = self._by_digest(stored)
        return stored if (self._is_whole if told is None else told) else None

    def _by_digest(self, block: Shard) -> bool | None:
        """Whether a block has the record's digest of it; None where the record has none of blocks."""
        digests = self._samples.get("blocks")
        if digests is None:
            return None
        return bool(digests[self._store.blocks.index((block.start, block.stop))] == block_digest(block))

    @cached_property
    def _is_whole(self) -> bool:
        try:
            return self._store.digest() == self._samples["digest"]
        except UserError:  # not all are there
            return False


def few_of(record: Mapping[str, Any], path: Path) -> Few | None:
    """The samples of a record that lie beside it; None where there are none."""
    if record["samples"].get("witness"):
        try:
            first = read_witness(record, witness_path(record, path))
        except UserError:  # not there, or damaged, which claims.witness says
            return None
        return Few(first, lambda made: made.images[: len(first)], "the first ones that the record keeps")
    file = path.parent.parent / "previews" / f"{record['run_id']}.png"
    if path.parent.name == "records" and file.is_file():
        return Few(read_sheet(file), choose, "those that this collection's sample grids show of the run")
    return None
