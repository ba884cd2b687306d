"""The sample store: one file for each block of sample indices, with a checksum inside, written atomically.

A shard that is missing, short or altered is found on reading and made again; nothing else depends on it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from .errors import UserError
from .files import atomic


@dataclass(frozen=True)
class Shard:
    """Samples ``start`` to ``stop - 1``.

    Attributes:
        images: uint8 (N, H, W, C).
        labels: int64 (N,).
        cost: seconds and evaluations that the block has cost.
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
        self.blocks = [(start, min(start + block, count)) for start in range(0, count, block)]

    def path(self, start: int, stop: int) -> Path:
        """The file of one block."""
        return self.folder / f"{start:08d}-{stop:08d}.safetensors"

    def missing(self) -> list[tuple[int, int]]:
        """Blocks without a sound shard."""
        return [block for block in self.blocks if self.read(*block) is None]

    def write(self, shard: Shard) -> None:
        """Write one shard atomically."""
        facts = {
            "run_id": self.run_id,
            "sha256": _checksum(shard.images, shard.labels),
            "cost": json.dumps(shard.cost, sort_keys=True),
        }
        with atomic(self.path(shard.start, shard.stop)) as temporary:
            save_file({"images": shard.images, "labels": shard.labels}, temporary, metadata=facts)

    def read(self, start: int, stop: int) -> Shard | None:
        """One shard, or None where it is missing, unreadable, short, altered or of another run."""
        path = self.path(start, stop)
        if not path.exists():
            return None
        try:
            with safe_open(path, "np") as file:
                facts: dict[str, Any] = file.metadata() or {}
                images, labels = file.get_tensor("images"), file.get_tensor("labels")
        except (SafetensorError, OSError, ValueError, EOFError):
            return None
        sound = len(images) == len(labels) == stop - start and facts.get("run_id") == self.run_id
        if not sound or facts.get("sha256") != _checksum(images, labels):
            return None
        return Shard(start, stop, images, labels, json.loads(facts["cost"]))

    def __iter__(self) -> Iterator[Shard]:
        """Every shard in the order of its indices; :class:`UserError` for one that is missing."""
        for start, stop in self.blocks:
            shard = self.read(start, stop)
            if shard is None:
                raise UserError(f"{str(self.path(start, stop))!r} is missing or damaged: run the same command again")
            yield shard

    def digest(self) -> str:
        """sha256 over every sample's image and label, in the order of the indices."""
        total = hashlib.sha256()
        for shard in self:
            for image, label in zip(shard.images, shard.labels, strict=True):
                total.update(image.tobytes())
                total.update(int(label).to_bytes(8, "little"))
        return total.hexdigest()


def _checksum(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> str:
    digest = hashlib.sha256(str((images.shape, images.dtype.str, labels.dtype.str)).encode())
    digest.update(np.ascontiguousarray(images).tobytes())
    digest.update(np.ascontiguousarray(labels).tobytes())
    return digest.hexdigest()
