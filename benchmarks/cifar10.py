"""CIFAR-10 (Krizhevsky, 2009) in colour at 32 x 32: the protocol of Fashion-MNIST, sized for one GPU and for a CPU."""

from __future__ import annotations

from functools import cache
from typing import ClassVar

from guidance_bench.core.parameters import param
from guidance_bench.experiments.benchmark import register_benchmark
from guidance_bench.training.data.dataset import ImageArray
from guidance_bench.training.data.source import open_source

from .shared.image_benchmark import ImageBenchmark, RealImages


@cache
def load_images(train: bool) -> RealImages:
    """The 50,000 training or the 10,000 test images.

    Raises:
        UserError: the files are not there or damaged.
    """
    read = open_source("cifar10", part="train" if train else "test")
    assert isinstance(read, ImageArray)
    return RealImages("cifar10", read.images, read.labels, tuple(read.classes))


class _Cifar10Images(ImageBenchmark):
    """Trained on the training set, compared with the test set."""

    def train_images(self) -> RealImages:
        """The training set."""
        return load_images(True)

    def reference_images(self) -> RealImages:
        """The test set."""
        return load_images(False)


@register_benchmark("cifar10")
class Cifar10(_Cifar10Images):
    """SiT-S/2 with an internal head after block 4; 10,000 samples against the 10,000 test images."""

    summary = "real 32x32 colour images, SiT-S/2 trained here, Inception's features; hours on one GPU"

    samples: int = param(10_000, low=10, doc="samples a run")
    solver_steps: int = param(50, low=1, doc="Euler steps")
    train_steps: int = param(100_000, low=1, doc="training steps of the main network")
    weak_steps: int = param(20_000, low=1, doc="training steps of the weak network")
    batch: int = param(256, low=1, doc="training batch")
    learning_rate: float = param(2e-4, doc="of AdamW, at its highest")
    patch: int = param(2, low=1, doc="height and width of a patch")
    width: int = param(384, low=4, doc="width of a token; two thirds of it for the weak network")
    depth: int = param(12, low=2, doc="blocks; half of them for the weak network")
    heads: int = param(6, low=1, doc="attention heads")
    tap: int = param(4, low=1, doc="block after which the internal head hangs")
    reference: int = param(10_000, low=10, doc="real images that samples are compared with, at most")


@register_benchmark("cifar10_small")
class Cifar10Small(_Cifar10Images):
    """The same in little, for a CPU: the small network of the other image benchmarks, fewer samples."""

    summary = "the same protocol with a small SiT and 500 samples: an hour on two CPU cores"
    metrics: ClassVar[tuple[str, ...]] = ("fid", "sfid", "precision_recall", "fid_infinity")

    samples: int = param(500, low=10, doc="samples a run")
    reference: int = param(1000, low=10, doc="real images that samples are compared with, at most")
