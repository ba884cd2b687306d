"""Inception as a benchmark's evaluator, and the reference that comes with a benchmark as features.

A reference file holds the features of a stated set of real images in half precision; the reference is those numbers,
so it is the same on every machine. A sealed JSON beside it names images, network and hash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from guidance_bench.experiments.benchmark import Evaluator
from guidance_bench.features.extractors import extractors_for
from guidance_bench.features.feature_set import FeatureSet
from guidance_bench.features.inception_weights import wanted_weights
from guidance_bench.features.kept import FeatureMaker
from guidance_bench.storage.files import atomic, sha256_of, write_sealed
from guidance_bench.storage.hub import Wanted

from .own_files import own_file, read_own

SPACE = "inception"
NAMES = ("features", "spatial")
#: Images a pass of the network; on one core the fastest.
BATCH = 16
#: What the JSON beside a reference holds.
KEYS = ("images", "network", "count", "sha256")


def inception_maker(device: torch.device) -> FeatureMaker:
    """Pooled and spatial features; grey images are repeated to three channels.

    Raises:
        UserError: Inception's weights are not at hand.
    """
    return FeatureMaker(extractors_for(NAMES, None, device), NAMES, BATCH)


def wanted_inception(metrics: Sequence[str]) -> list[tuple[str, Wanted]]:
    """Inception's weights as a file that a run needs."""
    return [("Inception", wanted_weights("inception_score" in metrics))]


def evaluator(reference: FeatureSet, about: Mapping[str, Any], device: torch.device) -> Evaluator:
    """Inception's features against ``reference``; ``about`` it stands in every record."""
    maker = inception_maker(device)
    networks = [extractor.identity() for extractor in maker.extractors]
    return Evaluator(SPACE, maker, reference, {"networks": networks, "reference": dict(about)})


def save_reference(folder: Path, features: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> None:
    """Write ``reference.safetensors`` and ``reference.json``.

    Args:
        folder: where to.
        features: "features" (N, 2048) and "spatial" (N, 2023).
        about: "images" and "network", plain JSON values.
    """
    file = folder / "reference.safetensors"
    halves = {name: np.ascontiguousarray(rows, np.float16) for name, rows in features.items()}
    with atomic(file) as temporary:
        save_file(halves, temporary)
    count = len(next(iter(halves.values())))
    write_sealed(folder / "reference.json", {**about, "count": count, "sha256": sha256_of(file)})


def load_reference(folder: Path) -> tuple[FeatureSet, dict[str, Any]]:
    """The reference of a folder, as float32, and what is known of it.

    Raises:
        UserError: a file is missing or damaged.
    """
    known = read_own(folder / "reference.json", KEYS)
    halves = load_file(own_file(folder / "reference.safetensors", known["sha256"]))
    features = FeatureSet({k: v.astype(np.float32) for k, v in halves.items()}, space=SPACE, title="the reference")
    return features, known
