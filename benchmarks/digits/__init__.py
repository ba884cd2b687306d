"""The embedded benchmark: 1,797 real handwritten digits, a small SiT with an internal head, five methods.

``digits`` is sized to minutes on two CPU cores; ``digits_full`` is the study whose records come with the project. The
others ask one question each: which strengths, which methods, when in a trajectory, after how much training.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch

from guidance_bench.core.identity import short_hash
from guidance_bench.core.parameters import param
from guidance_bench.experiments.benchmark import Evaluator, register_benchmark
from guidance_bench.features.feature_set import FeatureSet
from guidance_bench.networks.dataset import Dataset
from guidance_bench.training.for_benchmarks import Recipe

from ..shared.grids import Grid, grid
from ..shared.pixel_benchmark import TrainedBenchmark
from .classifier import load_classifier
from .data import dataset, load_images
from .grids import SWEEPS, WIDE, around, intervals

#: What Internal Guidance inside CFG holds fixed while its own scale is swept.
MILD_CFG = {"cfg_scale": 1.1, "cfg_high": 0.7}


@register_benchmark("digits")
class Digits(TrainedBenchmark):
    """Small SiT on 8 x 8 digits in pixel space; metrics in the feature space of a small classifier."""

    summary = "1,797 real 8x8 digits, small SiT trained here; minutes on two CPU cores"
    metrics = ("frechet_distance", "classifier_score", "precision_recall", "label_accuracy")
    primary = "frechet_distance"
    space = "digits_cnn"
    #: The same number of settings for every method that has a scale.
    grids: ClassVar[dict[str, Grid]] = {
        "cfg": grid("scale", (1.1, 1.2, 1.4)),
        "autoguidance": grid("scale", (1.1, 1.25, 1.5)),
        "ig": grid("scale", (1.4, 1.7, 2.1)),
        "ig_cfg": grid("ig_scale", (1.3, 1.5, 1.8), **MILD_CFG),
    }

    methods: tuple[str, ...] = param((), doc="methods of the line-up; empty: all")
    seeds: tuple[int, ...] = param((0,), doc="each trains its own networks and draws its own samples")
    samples: int = param(800, low=10, doc="samples a run")
    block: int = param(200, low=1, doc="samples made together")
    labels: str = param("balanced", choices=("balanced", "random"), doc="label policy")
    solver_steps: int = param(16, low=1, doc="Euler steps")
    train_steps: int = param(1000, low=1, doc="training steps of the main network")
    weak_steps: int = param(250, low=1, doc="training steps of the weak network")
    batch: int = param(64, low=1, doc="training batch")

    @property
    def num_classes(self) -> int:
        """Ten digits."""
        return 10

    def training_recipes(self, seed: int) -> dict[str, Recipe]:
        """Both networks."""
        shape = {"input_size": 8, "patch_size": 2, "in_channels": 1, "num_classes": 10, "num_heads": 4}
        data = dataset().name
        main = {**shape, "hidden_size": 64, "depth": 6, "tap": 2}
        weak = {**shape, "hidden_size": 48, "depth": 3}
        return {
            "main": Recipe("sit", main, data, self.train_steps, self.batch, 3e-3, seed),
            "weak": Recipe("sit", weak, data, self.weak_steps, self.batch, 3e-3, seed, ema=0.98),
        }

    def training_data(self) -> Dataset:
        """All digits."""
        return dataset()

    def evaluator(self, folder: Path, device: torch.device) -> Evaluator:
        """The classifier's features; the reference is all 1,797 digits."""
        classifier, known = load_classifier()
        images, labels = load_images()
        reference = FeatureSet(
            {**classifier.extract(images), "labels": labels}, space=self.space, title="the digits reference"
        )
        identity = {"weights_sha256": known["sha256"], "reference": dataset().name}
        identity["recipe"] = short_hash(known["recipe"])
        return Evaluator(self.space, classifier.extract, reference, identity)


@register_benchmark("digits_full")
class DigitsFull(Digits):
    """The study behind the README: three seeds, a finer grid, as many samples as there are digits."""

    summary = "the same with three seeds, a finer grid and 1,797 samples a run; some forty minutes on two CPU cores"
    grids: ClassVar[dict[str, Grid]] = {
        "cfg": grid("scale", (1.05, 1.1, 1.2, 1.35, 1.6)),
        "autoguidance": grid("scale", (1.05, 1.1, 1.2, 1.35, 1.6)),
        "ig": grid("scale", (1.2, 1.4, 1.7, 2.0, 2.5)),
        "ig_cfg": grid("ig_scale", (1.15, 1.3, 1.5, 1.75, 2.0), **MILD_CFG),
    }

    seeds: tuple[int, ...] = param((0, 1, 2), doc="each trains its own networks and draws its own samples")
    samples: int = param(1797, low=10, doc="samples a run")
    block: int = param(300, low=1, doc="samples made together")
    solver_steps: int = param(20, low=1, doc="Euler steps")
    train_steps: int = param(1500, low=1, doc="training steps of the main network")
    weak_steps: int = param(300, low=1, doc="training steps of the weak network")


@register_benchmark("digits_pilot")
class DigitsPilot(DigitsFull):
    """Finds the strengths that the study of all methods tries: every method over a wide range, on networks like
    those of ``digits_full``, of a seed that the study does not use."""

    summary = "where each method's best scale lies: every method, seven settings from weak to strong, a seed of its own"
    grids: ClassVar[dict[str, Grid]] = {method: sweep.grid(WIDE) for method, sweep in SWEEPS.items()}

    seeds: tuple[int, ...] = param((100,), doc="each trains its own networks and draws its own samples")
    samples: int = param(500, low=10, doc="samples a run")
    block: int = param(250, low=1, doc="samples made together")
    solver_steps: int = param(16, low=1, doc="Euler steps")


@register_benchmark("digits_methods")
class DigitsMethods(DigitsPilot):
    """Every method of the project at an equal tuning budget: what the pilot tried, then three settings on each of three
    seeds, on the networks of ``digits_full``."""

    summary = (
        "every method of ours, three settings each from the pilot's best on, three seeds; an hour on two CPU cores"
    )
    tuned_on = "digits_pilot"
    grids: ClassVar[dict[str, Grid]] = {method: around(method) for method in SWEEPS}

    seeds: tuple[int, ...] = param((0, 1, 2), doc="each trains its own networks and draws its own samples")
    samples: int = param(800, low=10, doc="samples a run")
    block: int = param(200, low=1, doc="samples made together")


@register_benchmark("digits_intervals")
class DigitsIntervals(Digits):
    """When guidance helps: a scale too strong for all times, over both ends of the interval, beside the same methods
    at all times at the scale that is best there."""

    summary = "when to guide: CFG and IG over 13 intervals of t each; a quarter of an hour on two CPU cores"
    grids: ClassVar[dict[str, Grid]] = {
        "cfg": [*grid("scale", (1.1,)), *intervals(scale=1.3)],
        "ig": [*grid("scale", (1.7,)), *intervals(scale=2.2)],
    }

    train_steps: int = param(1350, low=1, doc="training steps of the main network")


@register_benchmark("digits_convergence")
class DigitsConvergence(Digits):
    """What guidance gains as training goes on: each length of training is one with a whole schedule of its own, under
    the same weak network.

    Attributes:
        lengths: of the main network's training in the committed study.
    """

    summary = "gain against training: one length a run (-m benchmark.train_steps=400,600,900,1350)"
    lengths: ClassVar[tuple[int, ...]] = (400, 600, 900, 1350)
    grids: ClassVar[dict[str, Grid]] = {
        "cfg": grid("scale", (1.1, 1.3, 1.9)),
        "autoguidance": grid("scale", (1.1, 1.3, 1.9)),
        "ig": grid("scale", (1.4, 1.8, 2.6)),
    }
