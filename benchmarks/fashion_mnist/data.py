"""Fashion-MNIST (Xiao et al., arXiv 1708.07747): 60,000 + 10,000 real grey images of 28 x 28, ten classes.

The files are read where Debian's package ``dataset-fashion-mnist`` puts them, or from torchvision's layout; only a
benchmark that trains, and the makers of its files, need them.
"""

from __future__ import annotations

import gzip
import os
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from guidance_bench.core.errors import UserError

from ..shared.image_benchmark import RealImages

VARIABLE = "GUIDANCE_BENCH_FASHION_MNIST"
#: Where the files may lie, in the order of the search.
PLACES = ("/usr/share/datasets/fashion-mnist", "data/FashionMNIST/raw", "data/fashion-mnist")
IMAGES, LABELS = "{}-images-idx3-ubyte", "{}-labels-idx1-ubyte"
CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
#: Test images of each class in the reference.
REFERENCE_PER_CLASS = 250


@cache
def load_images(part: str) -> RealImages:
    """The images of ``part``, "train" or "t10k".

    Raises:
        UserError: the files are not there, or they do not belong together.
    """
    images = _read(IMAGES.format(part), 16).reshape(-1, 28, 28, 1)
    labels = _read(LABELS.format(part), 8).astype(np.int64)
    if len(images) != len(labels):
        raise UserError(f"Fashion-MNIST: {len(images)} images but {len(labels)} labels in the files of {part!r}")
    return RealImages("fashion_mnist", images, labels, CLASSES)


def reference_images() -> RealImages:
    """The reference: the first 250 test images of each class, in the order of the file."""
    test = load_images("t10k")
    rows = [np.flatnonzero(test.labels == c)[:REFERENCE_PER_CLASS] for c in range(len(CLASSES))]
    chosen = np.sort(np.concatenate(rows))
    return RealImages(test.name, test.images[chosen], test.labels[chosen], CLASSES)


def _read(name: str, header: int) -> NDArray[np.uint8]:
    """The bytes after the header of an IDX file, packed or not."""
    places = [Path(p) for p in (os.environ.get(VARIABLE), *PLACES) if p]
    for place in places:
        for file in (place / f"{name}.gz", place / name):
            if file.is_file():
                return _content(file, header)
    raise UserError(
        f"Fashion-MNIST: no {name}.gz in {', '.join(map(str, places))}: apt-get install dataset-fashion-mnist, or put "
        f"the four files of github.com/zalandoresearch/fashion-mnist into a folder and set {VARIABLE}"
    )


def _content(file: Path, header: int) -> NDArray[np.uint8]:
    try:
        raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError, ValueError) as error:
        raise UserError(f"{str(file)!r} cannot be read: {error}") from error
    return np.frombuffer(raw, np.uint8, offset=min(header, len(raw))).copy()
