"""A look at a network while it trains: sample grids with and without guidance, and a small Frechet distance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from ..core.arrays import slices
from ..core.randomness import initial_noise
from ..features.statistics import feature_statistics
from ..guidance.method import METHODS, Guidance
from ..metrics.fid import frechet_distance
from ..networks.backbone import Backbone
from ..sampling.sampler import sample
from ..sampling.solvers import SOLVERS
from ..storage.files import atomic
from ..training.data.dataset import TrainingData

#: Real samples in the reference.
REFERENCE = 5000
#: Grids have so many columns and at most so many rows.
COLUMNS, ROWS = 10, 8


class TrainingSamples:
    """An observer of a training: the same noise and labels at every look, so that pictures can be compared.

    The Frechet distance is that of samples averaged to at most 8 x 8 cells (4 x 4 above four channels): it needs no
    feature network and shows whether a training goes well; it is not FID.

    Args:
        data: what the network is trained on.
        folder: where ``step_000001000_none.png`` and its guided partner go.
        count: samples of the distance; the grid shows the first.
        steps: of Euler's method.
        scale: of the guided samples.
        seed: of the noise.

    Raises:
        UserError: samples of these data cannot be shown as pictures.
    """

    def __init__(
        self, data: TrainingData, folder: Path, count: int = 400, steps: int = 20, scale: float = 1.5, seed: int = 0
    ) -> None:
        self.data, self.folder, self.count = data, folder, count
        self.solver, self.scale, self.seed = SOLVERS.create("euler", steps=steps), scale, seed
        rows = np.linspace(0, len(data) - 1, min(REFERENCE, len(data))).round().astype(np.int64)
        parts = [self._real(rows[part]) for part in slices(len(rows), 500)]
        data.pictures(parts[0][:1])  # what cannot be shown is said before the training, not in it
        self.reference = feature_statistics(cells(torch.cat(parts)))

    def _real(self, rows: NDArray[np.int64]) -> Tensor:
        plain = np.zeros(len(rows), np.bool_)
        return self.data.batch(rows, plain, lambda: torch.zeros(len(rows), *self.data.shape))[0]

    def __call__(self, step: int, network: Backbone) -> dict[str, float]:
        """Distances by method, as ``frechet_cells_none`` and ``frechet_cells_ig`` or ``_cfg``."""
        labels = torch.arange(self.count) % self.data.num_classes
        values = {}
        for name, method in self._methods(network).items():
            parts = [self._sample(network, method, labels, part) for part in slices(self.count, 100)]
            made = torch.cat(parts)
            self._grid(made, self.folder / f"step_{step:09d}_{name}.png")
            values[f"frechet_cells_{name}"] = frechet_distance(*self.reference, *feature_statistics(cells(made)))
        return values

    def _methods(self, network: Backbone) -> dict[str, Guidance]:
        """Without guidance; with Internal Guidance where there is a head, else with CFG where there is a null label."""
        guided = "ig" if network.trained_taps else "cfg" if network.null_label else ""
        return {
            "none": METHODS.create("none"),
            **({guided: METHODS.create(guided, scale=self.scale)} if guided else {}),
        }

    def _sample(self, network: Backbone, method: Guidance, labels: Tensor, part: slice) -> Tensor:
        noise = initial_noise(self.seed, range(part.start, part.stop), self.data.shape).to(network.device)
        return sample(network, method, self.solver, labels=labels[part].to(network.device), noise=noise).cpu().float()

    def _grid(self, made: Tensor, file: Path) -> None:
        shown = min(len(made) // COLUMNS, ROWS) * COLUMNS or len(made)
        images = self.data.pictures(made[:shown])
        lines = [np.concatenate(list(images[i : i + COLUMNS]), axis=1) for i in range(0, shown, COLUMNS)]
        picture = np.concatenate(lines)
        with atomic(file) as temporary, temporary.open("wb") as stream:
            Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(stream, format="PNG")


def cells(x: Tensor) -> NDArray[np.float64]:
    """Samples (N, C, H, W) averaged over at most 8 x 8 cells, 4 x 4 above four channels, as rows (N, D)."""
    side = min(8 if x.shape[1] <= 4 else 4, x.shape[2])
    rows: NDArray[np.float64] = adaptive_avg_pool2d(x.double(), side).flatten(1).numpy()
    return rows
