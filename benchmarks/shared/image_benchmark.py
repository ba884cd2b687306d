"""Benchmarks that train their networks on real images and score them in Inception's features."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from guidance_bench.core.parameters import param
from guidance_bench.experiments.benchmark import Evaluator
from guidance_bench.features.extraction import extract
from guidance_bench.networks.dataset import Dataset
from guidance_bench.storage.hub import Wanted
from guidance_bench.storage.image_sets import ArrayImages
from guidance_bench.storage.pixels import as_rgb
from guidance_bench.training.for_benchmarks import Recipe

from .grids import Grid, grid
from .inception import BATCH, NAMES, evaluator, inception_maker, wanted_inception
from .pixel_benchmark import TrainedBenchmark
from .pixels import to_latents


@dataclass(frozen=True)
class RealImages:
    """Real images of one size with their classes.

    Attributes:
        name: of the source.
        images: (N, H, W, C) uint8.
        labels: (N,).
        classes: names, in the order of the labels.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: Sequence[str] = field(default=())

    @cached_property
    def sha256(self) -> str:
        """Hash of pixels and labels."""
        return hashlib.sha256(np.ascontiguousarray(self.images).tobytes() + self.labels.tobytes()).hexdigest()

    def dataset(self) -> Dataset:
        """What networks are trained on, named by the hash."""
        return Dataset(f"{self.name}@{self.sha256[:16]}", to_latents(self.images), torch.from_numpy(self.labels))

    def evenly(self, count: int) -> RealImages:
        """At most so many images, evenly spaced in their order."""
        rows = np.linspace(0, len(self.images) - 1, min(count, len(self.images))).round().astype(int)
        return RealImages(self.name, self.images[rows], self.labels[rows], self.classes)


@dataclass
class ImageBenchmark(TrainedBenchmark):
    """Base: a SiT with an internal head and a smaller one, trained on :meth:`train_images`; Inception's features
    against :meth:`reference_images`, made once and kept."""

    metrics: ClassVar[tuple[str, ...]] = ("fid", "sfid", "kid", "precision_recall", "fid_infinity")
    primary = "fid"
    together = True
    grids: ClassVar[dict[str, Grid]] = {
        "cfg": grid("scale", (1.25, 1.5, 2.0)),
        "autoguidance": grid("scale", (1.25, 1.5, 2.0)),
        "ig": grid("scale", (1.25, 1.5, 2.0)),
        "ig_cfg": grid("ig_scale", (1.25, 1.5, 2.0), cfg_scale=1.25, cfg_high=0.7),
    }

    methods: tuple[str, ...] = param((), doc="methods of the line-up; empty: all")
    seeds: tuple[int, ...] = param((0,), doc="each trains its own networks and draws its own samples")
    samples: int = param(2000, low=10, doc="samples a run")
    block: int = param(250, low=1, doc="samples made together")
    labels: str = param("balanced", choices=("balanced", "random"), doc="label policy")
    solver_steps: int = param(20, low=1, doc="Euler steps")
    train_steps: int = param(2400, low=1, doc="training steps of the main network")
    weak_steps: int = param(600, low=1, doc="training steps of the weak network")
    batch: int = param(64, low=1, doc="training batch")
    learning_rate: float = param(1.5e-3, doc="of AdamW, at its highest")
    patch: int = param(4, low=1, doc="height and width of a patch")
    width: int = param(96, low=4, doc="width of a token; two thirds of it for the weak network")
    depth: int = param(8, low=2, doc="blocks; half of them for the weak network")
    heads: int = param(4, low=1, doc="attention heads")
    tap: int = param(3, low=1, doc="block after which the internal head hangs")
    reference: int = param(2500, low=10, doc="real images that samples are compared with, at most")

    @abstractmethod
    def train_images(self) -> RealImages:
        """What the networks are trained on; read once."""

    def reference_images(self) -> RealImages:
        """What samples are compared with: the training images unless a benchmark has others."""
        return self.train_images()

    @property
    def num_classes(self) -> int:
        """As many as the images have."""
        return len(self.train_images().classes)

    def class_names(self) -> Sequence[str]:
        """Those of the images."""
        return self.train_images().classes

    def training_data(self) -> Dataset:
        """The training images."""
        return self.train_images().dataset()

    def training_recipes(self, seed: int) -> dict[str, Recipe]:
        """The main network; the weak one is two thirds as wide and half as deep, and trained for fewer steps."""
        _, size, _, channels = self.train_images().images.shape
        data = f"{self.train_images().name}@{self.train_images().sha256[:16]}"
        shape = {
            "input_size": size,
            "patch_size": self.patch,
            "in_channels": channels,
            "num_classes": self.num_classes,
            "num_heads": self.heads,
        }
        thin = self.width * 2 // 3 // (4 * self.heads) * 4 * self.heads or 4 * self.heads
        main = {**shape, "hidden_size": self.width, "depth": self.depth, "tap": self.tap}
        weak = {**shape, "hidden_size": thin, "depth": self.depth // 2}
        rate = self.learning_rate
        return {
            "main": Recipe("sit", main, data, self.train_steps, self.batch, rate, seed),
            "weak": Recipe("sit", weak, data, self.weak_steps, self.batch, rate, seed, ema=0.98),
        }

    def wanted(self) -> list[tuple[str, Wanted]]:
        """Inception's weights too."""
        return [*super().wanted(), *wanted_inception(self.metrics)]

    def evaluator(self, folder: Path, device: torch.device) -> Evaluator:
        """Inception's features; those of the reference are kept under ``folder``."""
        real = self.reference_images().evenly(self.reference)
        source = ArrayImages(as_rgb(real.images), f"the reference of {self.name}")
        maker = inception_maker(device)
        features = extract(source, maker.extractors, NAMES, BATCH, folder / real.sha256[:16])
        about: dict[str, Any] = {"images": {"data": real.name, "sha256": real.sha256}, "count": len(real.images)}
        return evaluator(features, about, device)
