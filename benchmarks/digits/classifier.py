"""The small classifier whose 64 features are this benchmark's feature space.

Its weights come with the benchmark: trained on another machine they differ in their last bits, and records of two
classifiers share no table. ``python -m guidance_bench.benchmarks.digits.make`` trains them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import gelu

from ..shared.own_files import own_file, read_own
from .data import to_latents

HERE = Path(__file__).parent

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


def load_classifier() -> tuple[Classifier, dict[str, Any]]:
    """The classifier, and what is known of it: recipe, sha256, accuracy on all digits.

    Raises:
        UserError: its file is missing or damaged.
    """
    known = read_own(HERE / "classifier.json", PIN)
    classifier = Classifier()
    classifier.load_state_dict(load_file(own_file(HERE / "classifier.safetensors", known["sha256"])))
    return classifier.eval(), known
