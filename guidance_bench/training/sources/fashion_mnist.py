"""Fashion-MNIST (Xiao et al., arXiv 1708.07747): 60,000 real grey images of 28 x 28, ten classes."""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...core.errors import UserError
from ...core.parameters import param
from ..data.dataset import ImageArray
from ..data.source import Source, register_source

VARIABLE = "GUIDANCE_BENCH_FASHION_MNIST"
#: Where Debian's package puts the files, and torchvision below its root ``data``.
PLACES = ("/usr/share/datasets/fashion-mnist", "/usr/share/dataset-fashion-mnist", "data/FashionMNIST/raw")
#: Below a folder that a user names: the files themselves, or torchvision's layout.
BELOW = ("", "raw", "FashionMNIST/raw")
CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


@register_source("fashion_mnist")
class FashionMNIST(Source):
    """The training images, or with ``part="t10k"`` the 10,000 test images."""

    summary: ClassVar[str] = "60,000 real 28x28 images; apt-get install dataset-fashion-mnist, or torchvision's folder"

    path: str = param("", doc="folder of the four files, or torchvision's root; empty: the usual places")
    part: str = param("train", choices=("train", "t10k"), doc="training or test images")
    size: int = param(28, low=28, doc="height and width; black is added around the image")

    def load(self) -> ImageArray:
        """Grey pixels in [-1, 1], (1, size, size)."""
        folder = self._folder()
        images = read_idx(_either(folder, f"{self.part}-images-idx3-ubyte"), 3)
        labels = read_idx(_either(folder, f"{self.part}-labels-idx1-ubyte"), 1).astype(np.int64)
        if len(images) != len(labels):
            raise UserError(f"{str(folder)!r}: {len(images)} images but {len(labels)} labels of {self.part!r}")
        before = (self.size - images.shape[1]) // 2
        around = (before, self.size - images.shape[1] - before)
        padded = np.pad(images, ((0, 0), around, around)) if self.size > images.shape[1] else images
        return ImageArray("fashion_mnist", padded[..., None], labels, CLASSES)

    def _folder(self) -> Path:
        own = self.path or os.environ.get(VARIABLE, "")
        places = [Path(own).expanduser() / below for below in BELOW] if own else [Path(place) for place in PLACES]
        for place in places:
            if any((place / f"{self.part}-images-idx3-ubyte{ending}").is_file() for ending in ("", ".gz")):
                return place
        raise UserError(
            f"Fashion-MNIST: no {self.part}-images-idx3-ubyte.gz in {', '.join(map(str, places))}: apt-get install "
            "dataset-fashion-mnist, or put the four files of github.com/zalandoresearch/fashion-mnist into a folder "
            "and give data=fashion_mnist:FOLDER"
        )


def _either(folder: Path, name: str) -> Path:
    """The packed or the plain file."""
    packed = folder / f"{name}.gz"
    return packed if packed.is_file() else folder / name


def read_idx(file: Path, dimensions: int) -> NDArray[np.uint8]:
    """An IDX file of unsigned bytes, packed or not: a header of big-endian sizes, then the values.

    Raises:
        UserError: the file is missing, damaged, or of another kind.
    """
    try:
        raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        magic, *shape = struct.unpack(f">{1 + dimensions}I", raw[: 4 * (1 + dimensions)])
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise UserError(f"{str(file)!r} cannot be read: {error}; get the file anew") from error
    values = np.frombuffer(raw, np.uint8, offset=4 * (1 + dimensions))
    if magic != 0x800 + dimensions or values.size != np.prod(shape):
        raise UserError(f"{str(file)!r} is no IDX file of {dimensions} dimensions, or it is cut short; get it anew")
    return values.reshape(shape)
