"""Real images in the real Inception network: Fashion-MNIST, a SiT with an internal head, sixteen methods.

Both networks and the reference come with the benchmark, so a run samples and evaluates, and trains nothing. Grey images
are repeated to three channels for Inception. ``fashion_mnist_tune`` finds each method's setting on a seed of its own;
``fashion_mnist`` reports those settings on three other seeds. A seed is one of samples: all share one pair of networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch

from guidance_bench.core.parameters import param
from guidance_bench.experiments.benchmark import Evaluator, Networks, register_benchmark
from guidance_bench.networks.dataset import Dataset
from guidance_bench.storage.hub import Wanted
from guidance_bench.training.sources.fashion_mnist import CLASSES

from ..shared.grids import Grid
from ..shared.inception import evaluator, load_reference, wanted_inception
from ..shared.pinned_networks import pinned_networks, pinned_recipe
from ..shared.pixel_benchmark import PixelBenchmark
from .data import load_images
from .grids import SWEEPS, TUNED, tried

#: Networks and reference.
HERE = Path(__file__).parent


@register_benchmark("fashion_mnist")
class FashionMNIST(PixelBenchmark):
    """SiT (width 96, depth 8, patch 4, head after block 3) on 28 x 28 pixels; metrics in Inception's features."""

    summary = "real 28x28 images in Inception's features: tuned settings on three seeds; hours on one CPU core"
    metrics: ClassVar[tuple[str, ...]] = ("fid", "sfid", "kid", "precision_recall", "fid_infinity")
    primary = "fid"
    tuned_on = "fashion_mnist_tune"
    grids: ClassVar[dict[str, Grid]] = {method: [setting] for method, setting in TUNED.items()}

    methods: tuple[str, ...] = param((), doc="methods of the line-up; empty: all")
    seeds: tuple[int, ...] = param((1, 2, 3), doc="each draws its own samples; the networks are the same")
    samples: int = param(2000, low=10, doc="samples a run")
    block: int = param(250, low=1, doc="samples made together")
    labels: str = param("balanced", choices=("balanced", "random"), doc="label policy")
    solver_steps: int = param(20, low=1, doc="Euler steps")

    @property
    def num_classes(self) -> int:
        """Ten kinds of clothing."""
        return len(CLASSES)

    def class_names(self) -> Sequence[str]:
        """Theirs."""
        return CLASSES

    def recipes(self, seed: int) -> dict[str, dict[str, Any]]:
        """Both networks: how they were trained, and the hash of their weights."""
        return {name: pinned_recipe(HERE, name) for name in ("main", "weak")}

    def networks(self, seed: int, folder: Path, device: torch.device) -> Networks:
        """The networks that come with the benchmark."""
        return pinned_networks(HERE, device)

    def training_data(self) -> Dataset:
        """The 60,000 training images."""
        return load_images("train").dataset()

    def wanted(self) -> list[tuple[str, Wanted]]:
        """Inception's weights too."""
        return [*super().wanted(), *wanted_inception(self.metrics)]

    def evaluator(self, folder: Path, device: torch.device) -> Evaluator:
        """Inception's features; the reference is 2,500 test images, 250 of each class."""
        return evaluator(*load_reference(HERE), device)


@register_benchmark("fashion_mnist_tune")
class FashionMNISTTune(FashionMNIST):
    """Four settings of every method on fewer samples of a seed that the study does not report."""

    summary = "finds the settings that fashion_mnist reports: four of every method, 500 samples of a seed of its own"
    metrics = ("fid", "sfid", "precision_recall")
    tuned_on = ""
    grids: ClassVar[dict[str, Grid]] = {method: tried(method) for method in SWEEPS}

    seeds: tuple[int, ...] = param((100,), doc="each draws its own samples; the networks are the same")
    samples: int = param(500, low=10, doc="samples a run")
