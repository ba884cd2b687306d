"""A user's own images: one folder a class, read, trained on and compared with."""

from __future__ import annotations

from functools import cache
from typing import ClassVar

from guidance_bench.core.errors import UserError
from guidance_bench.core.parameters import param
from guidance_bench.experiments.benchmark import register_benchmark
from guidance_bench.training.sources.image_folder import Folder as Images

from .shared.image_benchmark import ImageBenchmark, RealImages


@cache
def load_classes(folder: str, size: int) -> RealImages:
    """Every image of every class folder, cut to a square of ``size`` as ADM cuts.

    Raises:
        UserError: no such folder, fewer than two classes, an empty one, or a file that is no image.
    """
    found = Images(path=folder, size=size).load()
    if found.num_classes < 2:
        raise UserError(f"data={folder!r} holds {found.num_classes} class folder; at least 2 are needed")
    return RealImages("folder", found.images, found.labels, found.classes)


@register_benchmark("folder")
class Folder(ImageBenchmark):
    """A small SiT on the class folders of ``data``; Inception's features against the same images.

    KID is left out: it needs a thousand images on both sides, and a folder may hold fewer.
    """

    summary = "your own images, one folder a class: run benchmark=folder data=PATH"
    metrics: ClassVar[tuple[str, ...]] = ("fid", "sfid", "precision_recall", "fid_infinity")
    places: ClassVar[tuple[str, ...]] = ("data",)

    data: str = param("", doc="folder that holds a folder of images for each class")
    size: int = param(32, low=4, doc="height and width that images are cut to")
    samples: int = param(1000, low=10, doc="samples a run")

    def train_images(self) -> RealImages:
        """The images, cut to ``size``."""
        if not self.data:
            raise UserError("benchmark 'folder' needs data=PATH: a folder that holds a folder of images for each class")
        return load_classes(self.data, self.size)
