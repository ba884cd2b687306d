"""Networks whose weights come with a benchmark, so that nobody must train them again.

A network is a file of weights in half precision (the network is those weights, read as float32) and a sealed JSON
beside it: recipe, sha256 of the file, losses and seconds of the training.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from guidance_bench.experiments.benchmark import Networks
from guidance_bench.networks.backbone import Backbone
from guidance_bench.networks.checkpoints import load_backbone, save_backbone
from guidance_bench.storage.files import sha256_of, write_sealed

from .own_files import own_file, read_own

#: What the JSON holds.
KEYS = ("recipe", "sha256", "trained_sha256", "seconds", "losses", "parameters")


def pin_network(network: Backbone, facts: Mapping[str, Any], folder: Path, name: str) -> None:
    """Write a trained network and what is known of it to ``folder/name.safetensors`` and ``folder/name.json``.

    Args:
        network: the averaged network.
        facts: of its training: "recipe", "sha256" (of the weights in single precision), "seconds", "losses",
            "parameters".
        folder: where to.
        name: of both files.
    """
    file = folder / f"{name}.safetensors"
    save_backbone(network.half(), file)
    known = {**{k: facts[k] for k in KEYS if k in facts}, "trained_sha256": facts["sha256"], "sha256": sha256_of(file)}
    write_sealed(folder / f"{name}.json", known)


def pinned_recipe(folder: Path, name: str) -> dict[str, Any]:
    """What the network is: its recipe and the sha256 of its weights."""
    known = read_own(folder / f"{name}.json", KEYS)
    return {**known["recipe"], "sha256": known["sha256"]}


def pinned_networks(folder: Path, device: torch.device) -> Networks:
    """The networks ``main`` and ``weak`` of a folder.

    Raises:
        UserError: a file is missing or damaged.
    """
    loaded = {name: _load(folder, name, device) for name in ("main", "weak")}
    facts = {name: known for name, (_, known) in loaded.items()}
    return Networks(loaded["main"][0], loaded["weak"][0], facts)


def _load(folder: Path, name: str, device: torch.device) -> tuple[Backbone, dict[str, Any]]:
    known = read_own(folder / f"{name}.json", KEYS)
    file = own_file(folder / f"{name}.safetensors", known["sha256"])
    network = load_backbone(file, device=str(device)).eval()
    return network, {k: known[k] for k in ("sha256", "seconds", "parameters")}
