"""Latents as safetensors shards, memory-mapped.

A folder holds ``shard_00000.safetensors`` with ``mean`` and ``std`` (N, C, h, w) of each image's posterior in the
network's units, ``mean_flip`` and ``std_flip`` of its mirror image, and ``labels`` (N,); beside each a sealed JSON with
its hash and its channels' sums; and ``latents.json``, written last, with classes, autoencoder and channel statistics.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import UserError

INDEX = "latents.json"
#: What the index says.
INDEX_KEYS = (
    "plan",
    "classes",
    "count",
    "shape",
    "flip",
    "autoencoder",
    "size",
    "shards",
    "channel_mean",
    "channel_std",
)
#: What the JSON beside a shard says.
SHARD_KEYS = ("first", "count", "plan", "sum", "square", "cells", "sha256")
_TYPES = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "I64": "<i8", "I32": "<i4", "U8": "|u1", "I16": "<i2"}


def mapped(file: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a safetensors file as read-only memory maps: only the rows that are asked for are read.

    Raises:
        UserError: the file is missing, cut short, or holds what is no plain number.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > min(size, 100_000_000):
                raise ValueError("its header is longer than the file")
            header = json.loads(stream.read(length))
        header.pop("__metadata__", None)
        ends = [entry["data_offsets"][1] for entry in header.values()]
        if 8 + length + max(ends, default=0) > size:
            raise ValueError(f"it has {size} bytes, its header promises {8 + length + max(ends)}")
        return {name: _map(file, 8 + length, entry) for name, entry in header.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        reason = f"no tensors of type {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(f"shard {str(file)!r} cannot be read ({reason}): copy or make it again") from error


def _map(file: Path, begin: int, entry: dict[str, Any]) -> NDArray[Any]:
    kind, shape = np.dtype(_TYPES[entry["dtype"]]), tuple(entry["shape"])
    start, stop = entry["data_offsets"]
    if stop - start != kind.itemsize * int(np.prod(shape)):
        raise ValueError("a tensor's size contradicts its shape")
    if not stop - start:
        return np.empty(shape, kind)
    return np.memmap(file, kind, "r", begin + start, shape)
