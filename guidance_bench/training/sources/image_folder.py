"""A user's own images: one folder a class."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from PIL import Image

from ...core.console import bar
from ...core.errors import UserError
from ...core.parameters import param
from ...storage.image_files import decoded
from ...storage.pixels import center_crop
from ..data.class_folders import class_folders
from ..data.dataset import ImageArray
from ..data.source import Source, register_source

#: Files that are decoded ahead of their use.
AHEAD = 64
#: Bytes of pixels that are held in memory, at most.
LARGEST = 8 << 30


@register_source("folder")
class Folder(Source):
    """All images below the class folders, cut to a square as ADM cuts, as pixels in [-1, 1]."""

    summary: ClassVar[str] = "your own images, folder:PATH with one folder a class, as pixels in memory"

    path: str = param("", doc="folder of the class folders")
    size: int = param(32, low=4, doc="height and width that images are cut to")

    def load(self) -> ImageArray:
        """RGB pixels (3, size, size)."""
        if not self.path:
            raise UserError("data=folder needs a path: data=folder:PATH, a folder that holds a folder for each class")
        found = class_folders(self.path)
        size = len(found.files) * self.size**2 * 3
        if size > LARGEST:
            raise UserError(
                f"{str(found.folder)!r}: {len(found.files):,} images of {self.size} x {self.size} are "
                f"{size / 2**30:.0f} GiB of pixels; make latents of them (guidance-bench encode) and train on "
                "data=latents:PATH, or give a smaller size"
            )
        images = np.empty((len(found.files), self.size, self.size, 3), np.uint8)
        with bar(len(images), f"read {found.folder.name}", "image") as progress:
            for row, pixels in zip(images, decoded(found.files, AHEAD), strict=True):
                row[:] = np.asarray(center_crop(Image.fromarray(pixels), self.size))
                progress.update()
        return ImageArray("folder", images, found.labels, found.classes)
