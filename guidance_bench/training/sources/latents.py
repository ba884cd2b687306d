"""Latents on disk, memory-mapped: shards of ``guidance-bench encode``, or LightningDiT's as they are published."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...core.console import bar
from ...core.errors import UserError
from ...core.identity import short_hash
from ...core.parameters import param
from ...networks.autoencoders.base import Autoencoder, load_autoencoder
from ...storage.checkpoint_files.reading import read_checkpoint
from ...storage.files import read_sealed, sha256_of
from ...storage.verified import Verified, state_of
from ..data.dataset import Normal, TrainingData, check_labels
from ..data.source import Source, register_source
from ..latents.shards import INDEX, INDEX_KEYS, mapped

STATISTICS = "latents_stats.pt"


class LatentShards(TrainingData):
    """Shards as one set of samples.

    Args:
        name: tells the contents.
        shards: memory-mapped tensors of each: "mean", "std", "mean_flip", "std_flip" or "latents", "latents_flip".
        labels: (N,).
        classes: their names.
        mean, scale: x = (z - mean) * scale, each (C, 1, 1) float32.
        decoder: loads the autoencoder that shows samples as pictures; None: they are not shown.
    """

    def __init__(
        self,
        name: str,
        shards: Sequence[dict[str, NDArray[Any]]],
        labels: NDArray[np.int64],
        classes: Sequence[str],
        mean: NDArray[np.float32],
        scale: NDArray[np.float32],
        decoder: Callable[[], Autoencoder] | None = None,
    ) -> None:
        self.decoder = decoder
        self.name, self.shards, self.labels, self.classes = name, shards, labels, tuple(classes)
        self.mean, self.scale = mean, scale
        self.ends = np.cumsum([len(shard["labels"]) for shard in shards])
        channels, height, width = (shards[0].get("mean", shards[0].get("latents")))[0].shape  # type: ignore[index]
        self.shape = (channels, height, width)
        self.mirrors = all("mean_flip" in shard or "latents_flip" in shard for shard in shards)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, rows: NDArray[np.int64], mirrored: NDArray[np.bool_], normal: Normal) -> tuple[Tensor, Tensor]:
        """Latents in the network's units: drawn anew from the posterior where the shards hold moments."""
        noise = normal().numpy() if "mean" in self.shards[0] else None
        x = np.empty((len(rows), *self.shape), np.float32)
        places = np.searchsorted(self.ends, rows, side="right")
        for i, (row, place, turned) in enumerate(zip(rows, places, mirrored, strict=True)):
            shard = self.shards[place]
            own = row - (self.ends[place] - len(shard["labels"]))
            ending = "_flip" if turned else ""
            if noise is None:
                x[i] = shard[f"latents{ending}"][own]
            else:
                x[i] = shard[f"mean{ending}"][own] + shard[f"std{ending}"][own] * noise[i]
        return torch.from_numpy((x - self.mean) * self.scale), torch.from_numpy(self.labels[rows])

    def pictures(self, x: Tensor) -> NDArray[np.uint8]:
        """Decoded by the autoencoder."""
        if not self.decoder:
            raise UserError(f"{self.name}: give data.autoencoder=NAME to see samples as pictures (taesd for SD-VAE's)")
        shown: NDArray[np.uint8] = self._autoencoder.to_images(x).cpu().numpy()
        return shown

    @cached_property
    def _autoencoder(self) -> Autoencoder:
        assert self.decoder
        return self.decoder()


@register_source("latents")
class Latents(Source):
    """``latents:PATH``: a folder of shards."""

    summary: ClassVar[str] = "latents:PATH, shards of guidance-bench encode or LightningDiT's, memory-mapped"

    path: str = param("", doc="folder of the shards")
    num_classes: int = param(0, doc="of LightningDiT's shards, which do not tell; 0: the largest label and one")
    multiplier: float = param(1.0, doc="of LightningDiT's normalised latents")
    autoencoder: str = param("", doc="decodes samples for the pictures of observe_every=; empty: none")
    source: str = param("", doc="its weights; empty: as the autoencoder's own")

    def load(self) -> LatentShards:
        """The shards, mapped, not read."""
        folder = Path(self.path).expanduser()
        if not self.path or not folder.is_dir():
            raise UserError(f"data=latents needs a folder of shards, {self.path!r} is none: data=latents:PATH")
        return self._ours(folder) if (folder / INDEX).exists() else self._lightningdits(folder)

    def _decoder(self) -> Callable[[], Autoencoder] | None:
        own: dict[str, Any] = {"source": self.source} if self.source else {}
        return partial(load_autoencoder, self.autoencoder, **own) if self.autoencoder else None

    def _ours(self, folder: Path) -> LatentShards:
        known = read_sealed(folder / INDEX, INDEX_KEYS)
        shards = [mapped(folder / name) for name in known["shards"]]
        _check_hashes(folder, known["shards"])
        labels = _labels(shards, [folder / name for name in known["shards"]], len(known["classes"]))
        if len(labels) != known["count"]:
            raise UserError(f"{str(folder)!r}: {len(labels)} latents, its {INDEX} says {known['count']}: encode again")
        name = f"latents@{short_hash([known['shards'], known['classes']])}"
        channels = len(known["channel_mean"])
        zero, one = np.zeros((channels, 1, 1), np.float32), np.ones((channels, 1, 1), np.float32)
        return LatentShards(name, shards, labels, known["classes"], zero, one, self._decoder())

    def _lightningdits(self, folder: Path) -> LatentShards:
        files = sorted(folder.glob("*.safetensors"))
        if not files:
            raise UserError(f"{str(folder)!r} holds no shards: make some with guidance-bench encode FOLDER to=PATH")
        shards = [mapped(file) for file in files]
        for file, shard in zip(files, shards, strict=True):
            if not {"latents", "labels"} <= set(shard) or len(shard["latents"]) != len(shard["labels"]):
                raise UserError(
                    f"shard {str(file)!r} has no latents and labels of one length: it is not LightningDiT's"
                )
        count = self.num_classes or max(int(shard["labels"].max(initial=-1)) for shard in shards) + 1
        labels = _labels(shards, files, count)
        mean, std = _statistics(folder / STATISTICS, shards[0]["latents"].shape[1])
        facts = [[f.name, f.stat().st_size] for f in files], mean.tolist(), std.tolist(), self.multiplier, count
        name = f"latents@{short_hash([facts, short_hash(labels.tolist())])}"
        scale = (self.multiplier / std).astype(np.float32)
        classes = [str(label) for label in range(count)]
        return LatentShards(name, shards, labels, classes, mean, scale, self._decoder())


def _labels(shards: Sequence[dict[str, NDArray[Any]]], files: Sequence[Path], count: int) -> NDArray[np.int64]:
    """All labels in order; one outside the range is named with its shard."""
    found = [shard["labels"].astype(np.int64) for shard in shards]
    for labels, file in zip(found, files, strict=True):
        if len(labels):
            check_labels(labels, count, f"shard {str(file)!r}")
    whole = np.concatenate(found)
    check_labels(whole, count, str(files[0].parent))
    return whole


def _check_hashes(folder: Path, shards: Mapping[str, str]) -> None:
    """Hold shards to their hashes; files that were found sound and have not changed since are not read again.

    Raises:
        UserError: a shard is damaged; it is named.
    """
    states = {name: state_of(folder / name) for name in shards}
    digest, verified, now = short_hash(dict(shards)), Verified(folder), Verified.now()
    if verified.digest(states) == digest:
        return
    with bar(len(shards), f"check {folder.name}", "shard") as progress:
        for name, sha256 in shards.items():
            if sha256_of(folder / name) != sha256:
                raise UserError(
                    f"shard {str(folder / name)!r} is damaged: copy it again, or delete "
                    f"{Path(name).with_suffix('.json').name!r} beside it and encode again, which makes only that one"
                )
            progress.update()
    verified.remember(digest, states, now)


def _statistics(file: Path, channels: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and deviation of each channel, (C, 1, 1)."""
    if not file.is_file():
        raise UserError(f"{str(file)!r} is missing: LightningDiT's shards need it beside them (mean and std)")
    content, _ = read_checkpoint(file)
    values = [content.get(name) for name in ("mean", "std")]
    if not all(isinstance(v, Tensor) and v.numel() == channels for v in values):
        raise UserError(f"{str(file)!r} holds no mean and std of {channels} channels")
    mean, std = (v.float().reshape(channels, 1, 1).numpy() for v in values if isinstance(v, Tensor))
    return mean, std
