"""The sample store: one file for each block of sample indices, with a checksum inside, written atomically.

A shard that is missing, short or altered is found on reading and made again; nothing else depends on it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ..core.console import warn
from ..core.errors import UserError
from .files import atomic
from .verified import State, Verified, state_of

Block = tuple[int, int]
PATTERN = "*.safetensors"
CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class Shard:
    """Samples ``start`` to ``stop - 1``.

    Attributes:
        images: uint8 (N, H, W, C).
        labels: int64 (N,).
        cost: seconds and evaluations that the block has cost, and the batch that it was made in.
    """

    start: int
    stop: int
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    cost: dict[str, float]


class SampleStore:
    """The shards of one run, in a folder.

    Args:
        folder: where the shards lie.
        run_id: a shard of another run is refused.
        count: number of samples.
        block: samples a shard.
    """

    def __init__(self, folder: Path, run_id: str, count: int, block: int) -> None:
        self.folder = folder
        self.run_id = run_id
        self.count = count
        self.block = block
        self.blocks: list[Block] = [(start, min(start + block, count)) for start in range(0, count, block)]
        self._verified = Verified(folder)
        self._seen: tuple[int, dict[str, State | None]] = (0, {})  # when the last reading began, and what it met

    @classmethod
    def open(cls, folder: str | Path) -> SampleStore:
        """The store in a folder (a run's, or its ``samples``), as its first readable shard describes it.

        Raises:
            UserError: no shards there, or none that can be read.
        """
        place = Path(folder).expanduser()
        place = place / "samples" if (place / "samples").is_dir() else place
        files = sorted(place.glob(PATTERN))
        if not files:
            raise UserError(f"{str(folder)!r} holds no samples: give a run's folder, or run it first")
        for file in files:
            facts = _facts(file)
            if facts.keys() >= {"run_id", "count", "block"}:
                return cls(place, facts["run_id"], int(facts["count"]), int(facts["block"]))
        raise UserError(f"{str(folder)!r} holds no sample store that can be read: run the same command again")

    def path(self, start: int, stop: int) -> Path:
        """The file of one block."""
        return self.folder / f"{start:08d}-{stop:08d}.safetensors"

    def missing(self, blocks: Iterable[Block] | None = None) -> list[Block]:
        """Those of the blocks (None: all) that have no sound shard; a damaged one is named on the error stream."""
        if self.known_digest() is not None:
            return []
        absent = [block for block in (self.blocks if blocks is None else blocks) if self.read(*block) is None]
        for block in absent:
            if self.path(*block).exists():
                warn(f"{str(self.path(*block))!r} is damaged, or of another run; it is made again")
        return absent

    def write(self, shard: Shard) -> None:
        """Write one shard atomically, and read it back before its file gets its name.

        Arrays of any memory layout are taken: safetensors writes an array's memory as it lies, so it is given none
        but C-contiguous ones.

        Raises:
            UserError: images or labels of another kind or number, or a file that cannot be written or read back.
        """
        shard = _laid_out(shard)
        facts = {
            "run_id": self.run_id,
            "count": str(self.count),
            "block": str(self.block),
            "cost": json.dumps(shard.cost, sort_keys=True),
        }
        facts["sha256"] = _checksum(shard.start, facts, shard.images, shard.labels)
        with atomic(self.path(shard.start, shard.stop)) as temporary:
            save_file({"images": shard.images, "labels": shard.labels}, temporary, metadata=facts)
            if self._read(temporary, shard.start, shard.stop) is None:
                raise UserError(
                    f"{str(self.path(shard.start, shard.stop))!r} is not read back as it was written: check the disk"
                )

    def read(self, start: int, stop: int) -> Shard | None:
        """One shard, or None where it is missing, unreadable, short, altered or of another run."""
        return self._read(self.path(start, stop), start, stop)

    def _read(self, path: Path, start: int, stop: int) -> Shard | None:
        try:
            with safe_open(path, "np") as file:
                facts: dict[str, str] = file.metadata() or {}
                images, labels = file.get_tensor("images"), file.get_tensor("labels")
        except (SafetensorError, OSError, ValueError, TypeError, AttributeError):
            return None
        given = {k: v for k, v in facts.items() if k != "sha256"}
        sound = len(images) == len(labels) == stop - start and facts.get("run_id") == self.run_id
        if not sound or facts.get("sha256") != _checksum(start, given, images, labels):
            return None
        return Shard(start, stop, images, labels, json.loads(facts["cost"]))

    def __len__(self) -> int:
        """Number of samples."""
        return self.count

    def __iter__(self) -> Iterator[Shard]:
        """Every shard in the order of its indices, one at a time; :class:`UserError` for one that is missing."""
        self._seen = (Verified.now(), {})
        for start, stop in self.blocks:
            path = self.path(start, stop)
            self._seen[1][path.name] = state_of(path)
            shard = self.read(start, stop)
            if shard is None:
                raise UserError(f"{str(path)!r} is missing or damaged: run the same command again")
            yield shard

    def digest(self, full: bool = False) -> str:
        """:class:`Digest` of the whole set.

        Args:
            full: read every pixel; otherwise a set that was read before, and whose files have not changed since by
                size, time or inode, is not read again.

        Raises:
            UserError: a shard is missing or damaged.
        """
        known = None if full else self.known_digest()
        if known is not None:
            return known
        total = Digest()
        for shard in self:
            total.update(shard)
        self.remember(total.hexdigest())
        return total.hexdigest()

    def known_digest(self) -> str | None:
        """The digest as it is remembered of just the files that are there now, else None."""
        return self._verified.digest({self.path(*block).name: state_of(self.path(*block)) for block in self.blocks})

    def remember(self, digest: str) -> None:
        """Note the digest of the whole set after an iteration over all of it."""
        began, states = self._seen
        if len(states) == len(self.blocks):
            self._verified.remember(digest, states, began)


class Digest:
    """sha256 over every sample's image and label, in the order of the indices, however they are cut into shards.

    Attributes:
        count: samples so far.
    """

    def __init__(self) -> None:
        self._total = hashlib.sha256()
        self.count = 0

    def update(self, shard: Shard) -> None:
        """Add the next shard."""
        self.count += len(shard.images)
        for image, label in zip(shard.images, shard.labels, strict=True):
            self._total.update(image.tobytes())
            self._total.update(int(label).to_bytes(8, "little"))

    def hexdigest(self) -> str:
        """The digest so far."""
        return self._total.hexdigest()


def _laid_out(shard: Shard) -> Shard:
    """The shard in C-contiguous arrays; :class:`UserError` for what is no image or label, before anything is made."""
    count, images, labels = shard.stop - shard.start, np.asarray(shard.images), np.asarray(shard.labels)
    if images.dtype != np.uint8:
        raise UserError(f"samples are {images.dtype}, a store keeps uint8 in 0..255: convert them with a uint8 rule")
    if images.ndim != 4 or images.shape[-1] not in CHANNELS:
        raise UserError(f"samples have shape {images.shape}, a store keeps (N, H, W, C) with 1, 3 or 4 channels")
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise UserError(f"labels are {labels.dtype} {labels.shape}, a store keeps whole numbers (N,)")
    if not len(images) == len(labels) == count:
        raise UserError(f"block {shard.start}-{shard.stop} has {len(images)} images and {len(labels)} labels")
    images, labels = np.ascontiguousarray(images), np.ascontiguousarray(labels, dtype=np.int64)
    return Shard(shard.start, shard.stop, images, labels, shard.cost)


def _facts(file: Path) -> dict[str, Any]:
    try:
        with safe_open(file, "np") as tensors:
            return tensors.metadata() or {}
    except (SafetensorError, OSError):
        return {}


def _checksum(start: int, facts: dict[str, str], images: NDArray[np.uint8], labels: NDArray[np.int64]) -> str:
    """Over everything that a shard says, so that no byte of it can change unseen."""
    form = (start, sorted(facts.items()), images.shape, images.dtype.str, labels.shape, labels.dtype.str)
    digest = hashlib.sha256(repr(form).encode())
    digest.update(np.ascontiguousarray(images).data)
    digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()
