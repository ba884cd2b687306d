"""A benchmark of seconds, loaded as a user's file: a tiny SiT on the digits, features that are the pixels themselves.

For the tests: TINY_SLOW makes each block and each feature pass last so many seconds, TINY_HOLD names a file that keeps
a process from its third block as long as it exists, TINY_BROKEN breaks the evaluator.
"""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from guidance_bench.benchmarks.digits.data import dataset, load_images, to_images

from guidance_bench.core.errors import UserError
from guidance_bench.core.parameters import param
from guidance_bench.experiments.benchmark import Benchmark, Evaluator, Networks, Setting, register_benchmark
from guidance_bench.features.feature_set import FeatureSet
from guidance_bench.sampling.solvers import SOLVERS
from guidance_bench.training.for_benchmarks import Recipe, train

calls = itertools.count()
SHAPE = {"input_size": 8, "patch_size": 4, "in_channels": 1, "num_classes": 10, "num_heads": 2}


def pixels(images: np.ndarray) -> dict[str, np.ndarray]:
    time.sleep(float(os.environ.get("TINY_SLOW", "0")))
    return {"features": images.reshape(len(images), -1)[:, ::4].astype(np.float32)}


@register_benchmark("tiny")
class Tiny(Benchmark):
    metrics = ("frechet_distance",)
    primary = "frechet_distance"
    space = "pixels"

    methods: tuple[str, ...] = param(())
    seeds: tuple[int, ...] = param((0,))
    samples: int = param(60, low=2)
    block: int = param(10, low=1)
    labels: str = param("balanced", choices=("balanced", "random"))
    solver_steps: int = param(4, low=1)
    train_steps: int = param(12, low=1)

    @property
    def num_classes(self) -> int:
        return 10

    def line_up(self) -> list[Setting]:
        return [Setting("none", {}), Setting("cfg", {"scale": 1.5})]

    def default_solver(self):
        return SOLVERS.create("euler", steps=self.solver_steps)

    def _recipe(self, seed: int) -> Recipe:
        config = {**SHAPE, "hidden_size": 16, "depth": 2, "tap": 1}
        return Recipe("sit", config, dataset().name, self.train_steps, 16, 2e-2, seed, ema=0.5, warmup=1)

    def recipes(self, seed: int) -> dict[str, dict[str, Any]]:
        return {"main": self._recipe(seed).as_dict()}

    def networks(self, seed: int, folder: Path, device: torch.device) -> Networks:
        main, facts = train(self._recipe(seed), dataset(), folder, device, "train")
        return Networks(main, None, {"main": {"sha256": facts["sha256"]}})

    def training_data(self):
        return dataset()

    def evaluator(self, folder: Path, device: torch.device) -> Evaluator:
        if "TINY_BROKEN" in os.environ:
            raise UserError("the evaluator is broken")
        images, labels = load_images()
        reference = FeatureSet({**pixels(images), "labels": labels}, space=self.space, title="the digits")
        return Evaluator(self.space, pixels, reference, {"reference": dataset().name})

    def decode(self, latents: torch.Tensor) -> np.ndarray:
        time.sleep(float(os.environ.get("TINY_SLOW", "0")))
        while next(calls) >= 2 and os.path.exists(os.environ.get("TINY_HOLD", "")):
            time.sleep(0.01)
        return to_images(latents)
