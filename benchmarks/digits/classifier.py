"""The small classifier whose 64 features are this benchmark's feature space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, gelu

from guidance_bench.core.errors import UserError
from guidance_bench.storage.files import atomic
from guidance_bench.storage.pinned import pinned

from .data import load_images, to_latents

#: Everything that determines the classifier, up to rounding; its hash names the feature space.
RECIPE: dict[str, Any] = {
    "architecture": "conv32-conv64-fc64",
    "steps": 600,
    "batch": 128,
    "learning_rate": 2e-3,
    "seed": 20,
}

#: What classifier.json says of the trained network.
PIN = ("recipe", "sha256", "training_accuracy")


class Classifier(nn.Module):
    """Two convolutions, a hidden layer of 64 (the features), ten logits."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 32, 3, padding=1)
        self.second = nn.Conv2d(32, 64, 3, stride=2, padding=1)
        self.hidden = nn.Linear(64 * 16, 64)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels (N, 1, 8, 8) in [-1, 1] to features (N, 64) and logits (N, 10)."""
        features = gelu(self.hidden(gelu(self.second(gelu(self.first(x)))).flatten(1)))
        return features, self.head(features)

    @torch.inference_mode()
    def extract(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Features of uint8 images (N, 8, 8, 1), in the evaluator's form."""
        device = self.head.weight.device
        parts = [self(to_latents(images[i : i + 512]).to(device)) for i in range(0, len(images), 512)]
        features, logits = (torch.cat(part).cpu().numpy() for part in zip(*parts, strict=True))
        return {"features": features, "logits": logits}


def load_classifier(folder: Path) -> tuple[Classifier, str]:
    """The classifier and its sha256; trained on the first call, verified against its hash on every later one.

    Raises:
        UserError: the stored file does not fit its pinned hash.
    """
    weights, pin = folder / "classifier.safetensors", folder / "classifier.json"
    digest = pinned(weights, pin, PIN, lambda: _make(weights))["sha256"]
    classifier = Classifier()
    try:
        classifier.load_state_dict(load_file(weights))
    except (SafetensorError, RuntimeError) as error:
        raise UserError(f"{str(weights)!r} is not this benchmark's classifier: {error}") from error
    return classifier.eval(), digest


def _make(weights: Path) -> dict[str, Any]:
    classifier, accuracy = train_classifier()
    with atomic(weights) as temporary:
        save_file(classifier.state_dict(), temporary)
    return {"recipe": RECIPE, "training_accuracy": accuracy}


def train_classifier() -> tuple[Classifier, float]:
    """Train on the whole reference set, from a fixed seed; returns the network and its accuracy on that set."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RECIPE["seed"])
        classifier = Classifier()
    draw = torch.Generator().manual_seed(RECIPE["seed"])
    images, labels = load_images()
    x, y = to_latents(images), torch.from_numpy(labels)
    steps = RECIPE["steps"]
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=RECIPE["learning_rate"], weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        rows = torch.randint(len(x), (RECIPE["batch"],), generator=draw)
        # A little noise keeps the features from hanging on single grey levels of the seventeen.
        noisy = x[rows] + 0.1 * torch.randn(x[rows].shape, generator=draw)
        loss = cross_entropy(classifier(noisy)[1], y[rows], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.inference_mode():
        accuracy = float((classifier.eval()(x)[1].argmax(1) == y).float().mean())
    return classifier, accuracy
