"""Trains the classifier that comes with the benchmark: ``python -m guidance_bench.benchmarks.digits.make FOLDER``.

Some ten seconds on one core. Weights made on another machine differ from the committed ones in their last bits, and
their feature space is another: numbers under the two are not comparable.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy

from guidance_bench.storage.files import atomic, sha256_of, write_sealed

from ..shared.own_files import into_folder
from .classifier import Classifier
from .data import load_images, to_latents

#: Everything that determines the classifier, up to rounding.
RECIPE: dict[str, Any] = {
    "architecture": "conv32-conv64-fc64",
    "steps": 600,
    "batch": 128,
    "learning_rate": 2e-3,
    "seed": 20,
}


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


def make_classifier(folder: Path) -> None:
    """Train it and write ``classifier.safetensors`` and ``classifier.json``."""
    classifier, accuracy = train_classifier()
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "classifier.safetensors"
    with atomic(weights) as temporary:
        save_file(classifier.state_dict(), temporary)
    known = {"recipe": RECIPE, "sha256": sha256_of(weights), "training_accuracy": accuracy}
    write_sealed(folder / "classifier.json", known)


if __name__ == "__main__":
    into_folder("guidance_bench.benchmarks.digits.make", make_classifier)
