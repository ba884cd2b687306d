"""A network that costs nothing, in Inception's place."""

from __future__ import annotations

import numpy as np

from guidance_bench.features.extractors import EXTRACTORS


class FakeInception:
    """Means of a coarse grid as "features", the red channel's as "spatial", and no classifier unless asked for."""

    makes = ("features", "spatial", "logits")
    space = "inception"
    title = "'fake.pth'"

    def __init__(self, logits=False):
        self.lacks = {} if logits else {"logits": "the weights 'fake.pth' have no classifier"}
        self.images = 0

    def __call__(self, images):
        self.images += len(images)
        n, h, w, _ = images.shape
        grid = images.reshape(n, 2, h // 2, 2, w // 2, 3).mean(axis=(2, 4), dtype=np.float64).astype(np.float32)
        made = {"features": grid.reshape(n, -1), "spatial": grid[..., 0].reshape(n, -1)}
        return made if self.lacks else {**made, "logits": grid.reshape(n, -1) / 20}

    def identity(self):
        return {"network": "fake"}


def install(monkeypatch, logits=False):
    """Let every feature of Inception come from one fake network; returns it."""
    fake = FakeInception(logits)

    def make(weights, device):
        return fake

    for name in fake.makes:
        monkeypatch.setitem(EXTRACTORS, name, make)
    return fake


def pictures(seed, n, size=8, low=0, high=256):
    """Random images (n, size, size, 3)."""
    return np.random.default_rng(seed).integers(low, high, (n, size, size, 3), np.uint8)
