"""CIFAR-10 (Krizhevsky, 2009): 50,000 real colour images of 32 x 32, ten classes, in either published layout."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...core.errors import UserError
from ...core.parameters import param
from ..data.dataset import ImageArray
from ..data.source import Source, register_source

VARIABLE = "GUIDANCE_BENCH_CIFAR10"
PICKLED = "cifar-10-batches-py"
BINARY = "cifar-10-batches-bin"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
#: Files of the binary layout; each holds 10,000 rows of one label and the planes red, green and blue.
FILES = {"train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)), "test": ("test_batch.bin",)}
ROWS = 10_000
PLANES = (3, 32, 32)


@register_source("cifar10")
class Cifar10(Source):
    """The training images, or with ``part="test"`` the 10,000 test images.

    The layout with pickles goes through torchvision, which checks the files before a byte of them is unpickled.
    Both layouts hold the same images in the same order.
    """

    summary: ClassVar[str] = "50,000 real 32x32 colour images; unpack cifar-10-python.tar.gz or cifar-10-binary.tar.gz"

    path: str = param("", doc="folder that holds cifar-10-batches-py or -bin, or that folder; empty: data")
    part: str = param("train", choices=("train", "test"), doc="training or test images")

    def load(self) -> ImageArray:
        """RGB pixels in [-1, 1], (3, 32, 32)."""
        root = Path(self.path or os.environ.get(VARIABLE, "data")).expanduser()
        root = root.parent if root.name in (PICKLED, BINARY) else root
        if (root / BINARY).is_dir() and not (root / PICKLED).is_dir():
            return read_binary(root / BINARY, self.part)
        from torchvision.datasets import CIFAR10

        try:
            found = CIFAR10(str(root), train=self.part == "train", download=False)
        except (RuntimeError, OSError, EOFError) as error:
            raise UserError(
                f"CIFAR-10: no sound {PICKLED} and no {BINARY} in {str(root)!r}: unpack cifar-10-python.tar.gz of "
                f"www.cs.toronto.edu/~kriz/cifar.html there, or set {VARIABLE} (train: or data=cifar10:FOLDER)"
            ) from error
        return ImageArray("cifar10", np.asarray(found.data), np.asarray(found.targets, np.int64), CLASSES)


def read_binary(folder: Path, part: str) -> ImageArray:
    """Images of the binary layout.

    Raises:
        UserError: a file is missing, cut short, or has labels that its part has not.
    """
    rows = np.concatenate([_read_rows(folder / name) for name in FILES[part]])
    labels = rows[:, 0].astype(np.int64)
    if (np.bincount(labels, minlength=len(CLASSES)) != len(rows) // len(CLASSES)).any():
        raise UserError(
            f"CIFAR-10: {str(folder)!r} has not {len(rows) // len(CLASSES):,} {part} images of each class; get it anew"
        )
    images = rows[:, 1:].reshape(-1, *PLANES).transpose(0, 2, 3, 1)
    return ImageArray("cifar10", np.ascontiguousarray(images), labels, CLASSES)


def _read_rows(file: Path) -> NDArray[np.uint8]:
    """(10000, 1 + 3 * 32 * 32) bytes."""
    width = 1 + int(np.prod(PLANES))
    try:
        raw = np.fromfile(file, np.uint8)
    except OSError as error:
        raise UserError(f"CIFAR-10: {str(file)!r} cannot be read: unpack cifar-10-binary.tar.gz anew") from error
    if raw.size != ROWS * width:
        raise UserError(f"CIFAR-10: {str(file)!r} holds {raw.size:,} bytes, not {ROWS * width:,}; get it anew")
    return raw.reshape(ROWS, width)
