"""Fashion-MNIST (Xiao et al., arXiv 1708.07747) as the benchmark's images; only what makes its files needs them."""

from __future__ import annotations

from functools import cache

import numpy as np

from guidance_bench.training.data.dataset import ImageArray
from guidance_bench.training.data.source import open_source

from ..shared.image_benchmark import RealImages

#: Test images of each class in the reference.
REFERENCE_PER_CLASS = 250


@cache
def load_images(part: str) -> RealImages:
    """The images of ``part``, "train" or "t10k".

    Raises:
        UserError: the files are not there, or they are not sound.
    """
    read = open_source("fashion_mnist", part=part)
    assert isinstance(read, ImageArray)
    return RealImages("fashion_mnist", read.images.copy(), read.labels, read.classes)


def reference_images() -> RealImages:
    """The reference: the first 250 test images of each class, in the order of the file."""
    test = load_images("t10k")
    rows = [np.flatnonzero(test.labels == c)[:REFERENCE_PER_CLASS] for c in range(len(test.classes))]
    chosen = np.sort(np.concatenate(rows))
    return RealImages(test.name, test.images[chosen], test.labels[chosen], test.classes)
