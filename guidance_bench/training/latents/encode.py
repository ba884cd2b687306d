"""Images to latents: class folders through an autoencoder into shards, one after the other, resumable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from ...core.console import bar
from ...core.errors import UserError
from ...core.identity import short_hash
from ...core.processes import agree, begin, gather, share
from ...networks.autoencoders.base import Autoencoder
from ...storage.files import atomic, read_sealed, sweep, write_sealed
from ...storage.image_files import decoded
from ...storage.pinned import pinned
from ...storage.pixels import center_crop, from_uint8
from ..data.class_folders import ClassFolders
from .shards import INDEX, SHARD_KEYS

#: Files that are decoded ahead of their use.
AHEAD = 64
PLAN = "encode.json"


@dataclass(frozen=True)
class Encoding:
    """A whole job.

    Attributes:
        images: what to encode.
        autoencoder: by what.
        size: height and width that images are cut to (ADM's crop).
        flip: mirror images too.
        shard: images a shard.
        batch: images a pass of the network.
    """

    images: ClassFolders
    autoencoder: Autoencoder
    size: int = 256
    flip: bool = True
    shard: int = 1024
    batch: int = 32

    @property
    def plan(self) -> str:
        """Names what is encoded how; a folder holds shards of one plan."""
        names = [str(f.relative_to(self.images.folder)) for f in self.images.files]
        about = [self.autoencoder.name, self.autoencoder.weights, self.size, self.flip, self.shard]
        return short_hash([names, about])

    def part(self, first: int, stop: int) -> str:
        """Names a shard: the plan and the sizes of its files, of which one may be mended after an error."""
        return short_hash([self.plan, first, [f.stat().st_size for f in self.images.files[first:stop]]])


def encode(job: Encoding, folder: Path, device: torch.device) -> Path:
    """Write what is missing of the shards, then the index; on several processes each writes its own.

    Args:
        job: what to do.
        folder: where the shards go.
        device: where the autoencoder runs.

    Returns:
        The index.

    Raises:
        UserError: the folder holds latents of something else, an image cannot be read (it is named; what is done
            stays), or a latent is not finite.
    """
    device = begin(device)
    job.autoencoder.to(device)
    job.autoencoder.latent_shape(job.size, job.size)
    plan = job.plan
    agree(lambda: _claim(folder, plan))
    count = len(job.images.files)
    starts = list(range(0, count, job.shard))
    with bar(count, f"encode {job.images.folder.name}", "image") as progress:
        for first in share(starts):
            stop = min(first + job.shard, count)
            file = folder / f"shard_{first // job.shard:05d}.safetensors"
            _shard(job, file, first, stop)
            progress.update(stop - first)
    gather([0])
    agree(lambda: _index(job, folder, len(starts), plan))
    return folder / INDEX


def _claim(folder: Path, plan: str) -> None:
    """Take the folder for this plan.

    Raises:
        UserError: it is taken for another.
    """
    file = folder / PLAN
    if not file.exists():
        write_sealed(file, {"plan": plan})
    elif read_sealed(file, ("plan",))["plan"] != plan:
        raise UserError(f"to={str(folder)!r} holds latents of other images or settings: give another folder")
    sweep(folder)


def _shard(job: Encoding, file: Path, first: int, stop: int) -> None:
    """Make a shard, unless it is there, of these files and sound."""
    plan, pin = job.part(first, stop), file.with_suffix(".json")
    if pin.exists() and read_sealed(pin, SHARD_KEYS)["plan"] != plan:
        pin.unlink()  # a file of it is another now
    again = f"delete {pin.name!r} beside it and run the same command to make it again"
    pinned(file, pin, SHARD_KEYS, lambda: _make(job, file, first, stop, plan), again=again)


def _make(job: Encoding, file: Path, first: int, stop: int, plan: str) -> dict[str, Any]:
    parts: dict[str, list[Tensor]] = {}
    for images in _batches(job, first, stop):
        for ending, turned in (("", images), ("_flip", images.flip(-1))) if job.flip else (("", images),):
            mean, deviation = _moments(job.autoencoder, turned)
            parts.setdefault(f"mean{ending}", []).append(mean)
            parts.setdefault(f"std{ending}", []).append(deviation)
    tensors = {name: torch.cat(part) for name, part in parts.items()}
    _check(tensors, job, first)
    tensors["labels"] = torch.from_numpy(job.images.labels[first:stop].copy())
    with atomic(file) as temporary:
        save_file(tensors, temporary)
    return {"first": first, "count": stop - first, "plan": plan, **_sums(tensors)}


def _batches(job: Encoding, first: int, stop: int) -> Iterator[Tensor]:
    """Images (N, 3, size, size) in [-1, 1] on the autoencoder's device."""
    device = job.autoencoder.scale.device
    waiting: list[np.ndarray[Any, Any]] = []
    for number, pixels in enumerate(decoded(job.images.files[first:stop], AHEAD), start=first + 1):
        waiting.append(np.asarray(center_crop(Image.fromarray(pixels), job.size)))
        if len(waiting) == job.batch or number == stop:
            yield from_uint8(torch.from_numpy(np.stack(waiting))).to(device)
            waiting = []


@torch.no_grad()
def _moments(autoencoder: Autoencoder, images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the latents in the units that networks are trained in, on the CPU."""
    mean, deviation = (part.float() for part in autoencoder.posterior(images))
    scaled = (mean - autoencoder.shift) * autoencoder.scale
    return scaled.cpu().contiguous(), (deviation * autoencoder.scale).expand_as(scaled).cpu().contiguous()


def _check(tensors: dict[str, Tensor], job: Encoding, first: int) -> None:
    for tensor in tensors.values():
        wrong = (~torch.isfinite(tensor)).flatten(1).any(1).nonzero()
        if len(wrong):
            file = job.images.files[first + int(wrong[0])]
            raise UserError(f"{str(file)!r}: its latent is not finite; give the autoencoder in float32")


def _sums(tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Sums over images and cells of z and its square, by channel, in expectation over the posterior."""
    means = torch.cat([t for name, t in tensors.items() if name.startswith("mean")]).double()
    deviations = torch.cat([t for name, t in tensors.items() if name.startswith("std")]).double()
    return {
        "sum": means.sum((0, 2, 3)).tolist(),
        "square": (means**2 + deviations**2).sum((0, 2, 3)).tolist(),
        "cells": means.numel() // means.shape[1],
    }


def _index(job: Encoding, folder: Path, shards: int, plan: str) -> None:
    files = [folder / f"shard_{number:05d}.safetensors" for number in range(shards)]
    known = [read_sealed(file.with_suffix(".json"), SHARD_KEYS) for file in files]
    cells = sum(k["cells"] for k in known)
    mean = np.sum([k["sum"] for k in known], axis=0) / cells
    square = np.sum([k["square"] for k in known], axis=0) / cells
    write_sealed(
        folder / INDEX,
        {
            "plan": plan,
            "classes": list(job.images.classes),
            "count": len(job.images.files),
            "shape": list(job.autoencoder.latent_shape(job.size, job.size)),
            "flip": job.flip,
            "autoencoder": {"name": job.autoencoder.name, "weights": job.autoencoder.weights},
            "size": job.size,
            "shards": {file.name: k["sha256"] for file, k in zip(files, known, strict=True)},
            "channel_mean": mean.tolist(),
            "channel_std": np.sqrt(np.maximum(square - mean**2, 0)).tolist(),
        },
    )
