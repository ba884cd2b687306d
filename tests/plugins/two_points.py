"""A benchmark of one's own in sixty lines: a mixture in the plane, whose exact velocity needs no training.

Everything comes from ``guidance_bench`` itself: what a plug-in needs is exported there.
"""

import numpy as np
import torch

import guidance_bench as gb


@gb.register_benchmark("two_points")
class TwoPoints(gb.Benchmark):
    """Samples of the toy mixture as images of one pixel with two channels, against draws of the mixture itself."""

    summary = "a mixture in the plane, exact velocity"
    metrics = ("frechet_distance",)
    primary = "frechet_distance"
    space = "plane"

    methods: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    samples: int = gb.param(64, low=2)
    block: int = gb.param(32, low=1)
    labels: str = gb.param("balanced", choices=("balanced", "random"))

    @property
    def num_classes(self):
        return gb.BACKBONES.create("toy").build().num_classes

    def line_up(self):
        return [gb.Setting("none", {}), gb.Setting("cfg", {"scale": 1.2})]

    def default_solver(self):
        return gb.SOLVERS.create("euler", steps=4)

    def recipes(self, seed):
        return {"main": {"backbone": "toy", "config": {}, "seed": seed}}

    def networks(self, seed, folder, device):
        return gb.Networks(gb.BACKBONES.create("toy").build().to(device), None, {"main": {}})

    def training_data(self):
        latents = torch.from_numpy(self._points()).permute(0, 3, 1, 2).float() / 32 - 4
        return gb.Dataset("points", latents, torch.zeros(len(latents), dtype=torch.long))

    def evaluator(self, folder, device):
        return gb.Evaluator("plane", features, gb.FeatureSet(features(self._points()), space="plane"), {"points": 1})

    def decode(self, latents):
        pixels = ((latents.permute(0, 2, 3, 1) + 4) * 32).clamp(0, 255).round().to(torch.uint8)
        return torch.cat([pixels, pixels[..., :1]], dim=3).cpu().numpy()

    def _points(self):
        return np.random.default_rng(0).integers(0, 256, (200, 1, 1, 3), dtype=np.uint8)


def features(images):
    return {"features": images.reshape(len(images), -1)[:, :2].astype(np.float32)}
