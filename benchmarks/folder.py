"""A user's own images: one folder a class, read, trained on and compared with."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from guidance_bench.core.errors import UserError
from guidance_bench.core.parameters import param
from guidance_bench.experiments.benchmark import register_benchmark
from guidance_bench.storage.image_files import decoded, list_images
from guidance_bench.storage.pixels import center_crop

from .shared.image_benchmark import ImageBenchmark, RealImages

#: Files that are decoded ahead of their use.
AHEAD = 64


@cache
def load_classes(folder: Path, size: int) -> RealImages:
    """Every image of every class folder, cut to a square of ``size`` as ADM cuts.

    Raises:
        UserError: no such folder, fewer than two classes, an empty one, or a file that is no image.
    """
    if not folder.is_dir():
        raise UserError(f"data={str(folder)!r} is no folder: give one that holds a folder of images for each class")
    classes = sorted(f for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))
    if len(classes) < 2:
        raise UserError(f"data={str(folder)!r} holds {len(classes)} class folders; at least 2 are needed")
    images, labels = [], []
    for label, place in enumerate(classes):
        files = list_images(place).files
        if not files:
            raise UserError(f"class folder {str(place)!r} holds no images")
        images += [np.asarray(center_crop(Image.fromarray(pixels), size)) for pixels in decoded(files, AHEAD)]
        labels += [label] * len(files)
    return RealImages("folder", np.stack(images), np.asarray(labels, np.int64), tuple(f.name for f in classes))


@register_benchmark("folder")
class Folder(ImageBenchmark):
    """A small SiT on the class folders of ``data``; Inception's features against the same images.

    KID is left out: it needs a thousand images on both sides, and a folder may hold fewer.
    """

    summary = "your own images, one folder a class: run benchmark=folder data=PATH"
    metrics: ClassVar[tuple[str, ...]] = ("fid", "sfid", "precision_recall", "fid_infinity")
    free: ClassVar[tuple[str, ...]] = ("seeds", "methods", "data")

    data: str = param("", doc="folder that holds a folder of images for each class")
    size: int = param(32, low=4, doc="height and width that images are cut to")
    samples: int = param(1000, low=10, doc="samples a run")

    def train_images(self) -> RealImages:
        """The images, cut to ``size``."""
        if not self.data:
            raise UserError("benchmark 'folder' needs data=PATH: a folder that holds a folder of images for each class")
        return load_classes(Path(self.data).expanduser(), self.size)
