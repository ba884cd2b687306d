"""What digits and the benchmarks of real images share: a grid for each method, Euler, pixels as latents."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from guidance_bench.experiments.benchmark import Benchmark, Networks, Setting
from guidance_bench.sampling.solvers import SOLVERS, Solver
from guidance_bench.training.for_benchmarks import Recipe, train

from .grids import Grid, settings
from .pixels import to_images


class PixelBenchmark(Benchmark):
    """Base of benchmarks in pixel space.

    Attributes:
        grids: settings of every method but ``none``, which is always there.
        solver_steps: Euler steps.
    """

    grids: ClassVar[dict[str, Grid]] = {}

    solver_steps: int

    def line_up(self) -> list[Setting]:
        """``none`` and every method's grid."""
        return settings(self.grids)

    def default_solver(self) -> Solver:
        """Euler."""
        return SOLVERS.create("euler", steps=self.solver_steps)

    def decode(self, latents: Tensor) -> NDArray[np.uint8]:
        """The latents are pixels."""
        return to_images(latents)


class TrainedBenchmark(PixelBenchmark):
    """Base of benchmarks that train their networks, each seed its own."""

    @abstractmethod
    def training_recipes(self, seed: int) -> dict[str, Recipe]:
        """Recipes of "main" and "weak"."""

    def recipes(self, seed: int) -> dict[str, dict[str, Any]]:
        """The recipes of both networks."""
        return {name: recipe.as_dict() for name, recipe in self.training_recipes(seed).items()}

    def networks(self, seed: int, folder: Path, device: torch.device) -> Networks:
        """Train both networks, or take the trained ones."""
        recipes, data = self.training_recipes(seed), self.training_data()
        main, main_facts = train(recipes["main"], data, folder, device, f"train main, seed {seed}")
        weak, weak_facts = train(recipes["weak"], data, folder, device, f"train weak, seed {seed}")
        keep = ("sha256", "seconds", "parameters")
        facts = {"main": {k: main_facts[k] for k in keep}, "weak": {k: weak_facts[k] for k in keep}}
        return Networks(main, weak, facts)
