"""CIFAR-10 (Krizhevsky, 2009): 50,000 real colour images of 32 x 32, ten classes, in the layout of torchvision."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

import numpy as np

from ...core.errors import UserError
from ...core.parameters import param
from ..data.dataset import ImageArray
from ..data.source import Source, register_source

VARIABLE = "GUIDANCE_BENCH_CIFAR10"


@register_source("cifar10")
class Cifar10(Source):
    """The training images, or with ``part="test"`` the 10,000 test images.

    torchvision checks the files before a byte of them is unpickled.
    """

    summary: ClassVar[str] = "50,000 real 32x32 colour images; unpack cifar-10-python.tar.gz, nothing is downloaded"

    path: str = param("", doc="folder that holds cifar-10-batches-py, or that folder; empty: data")
    part: str = param("train", choices=("train", "test"), doc="training or test images")

    def load(self) -> ImageArray:
        """RGB pixels in [-1, 1], (3, 32, 32)."""
        from torchvision.datasets import CIFAR10

        root = Path(self.path or os.environ.get(VARIABLE, "data")).expanduser()
        root = root.parent if root.name == CIFAR10.base_folder else root
        try:
            found = CIFAR10(str(root), train=self.part == "train", download=False)
        except (RuntimeError, OSError, EOFError) as error:
            raise UserError(
                f"CIFAR-10: no sound {CIFAR10.base_folder} in {str(root)!r}: unpack cifar-10-python.tar.gz of "
                f"www.cs.toronto.edu/~kriz/cifar.html there, or set {VARIABLE} (train: or data=cifar10:FOLDER)"
            ) from error
        return ImageArray("cifar10", np.asarray(found.data), np.asarray(found.targets, np.int64), found.classes)
