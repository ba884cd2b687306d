"""Makes what comes with the benchmark: ``python -m guidance_bench.benchmarks.fashion_mnist.make FOLDER``.

It trains both networks (about 40 minutes on one core), draws their losses, extracts the reference (ten minutes), goes
on where it was stopped, and writes ``main``, ``weak``, ``training.png`` and ``reference`` into FOLDER. Weights made on
another machine differ from the committed ones in their last bits, so runs on them have other names; the recipes are
equal.
"""

from __future__ import annotations

from pathlib import Path

import torch

from guidance_bench.core.environment import pick_device
from guidance_bench.core.errors import UserError
from guidance_bench.features.extraction import extract
from guidance_bench.leaderboard.figures.convergence import training_figure
from guidance_bench.leaderboard.figures.style import save, style
from guidance_bench.storage.files import read_json
from guidance_bench.storage.image_sets import ArrayImages
from guidance_bench.storage.pixels import as_rgb
from guidance_bench.training.for_benchmarks import Recipe, train

from ..shared.inception import BATCH, NAMES, inception_maker, save_reference
from ..shared.own_files import into_folder
from ..shared.pinned_networks import pin_network
from .data import load_images, reference_images

SHAPE = {"input_size": 28, "patch_size": 4, "in_channels": 1, "num_classes": 10, "num_heads": 4}
DATA = "fashion_mnist@1f243a60b4b748a4"
#: 1.4 million parameters, two and a half passes over the images; the weak network has a quarter of both.
RECIPES = {
    "main": Recipe("sit", {**SHAPE, "hidden_size": 96, "depth": 8, "tap": 3}, DATA, 2400, 64, 1.5e-3, 0),
    "weak": Recipe("sit", {**SHAPE, "hidden_size": 64, "depth": 4}, DATA, 600, 64, 1.5e-3, 0, ema=0.98),
}


def make_networks(folder: Path, device: torch.device) -> None:
    """Train both networks and write them in half precision.

    Raises:
        UserError: the images are not those of the recipes.
    """
    data = load_images("train").dataset()
    if data.name != DATA:
        raise UserError(f"the training images are {data.name}, not {DATA}")
    for name, recipe in RECIPES.items():
        network, facts = train(recipe, data, folder / "training", device, f"train {name}")
        pin_network(network, facts, folder, name)


def make_reference(folder: Path, device: torch.device) -> None:
    """Extract the reference's features and write them in half precision."""
    images = reference_images()
    maker = inception_maker(device)
    source = ArrayImages(as_rgb(images.images), "the reference")
    features = extract(source, maker.extractors, NAMES, BATCH, folder / "features", block=100)
    choice = "the first 250 of each class, in the order of the file"
    about = {"data": "Fashion-MNIST, test set", "choice": choice, "sha256": images.sha256}
    arrays = {name: features.array(name) for name in NAMES}
    save_reference(folder, arrays, {"images": about, "network": maker.extractors[0].identity()})


def draw_training(folder: Path) -> None:
    """The losses that ``main.json`` and ``weak.json`` of a folder hold, each of the batch at that step."""
    lines = {f"{name} network": read_json(folder / f"{name}.json")["losses"] for name in RECIPES}
    with style():
        save(training_figure(lines, "loss of a batch (main: + 0.5 internal)"), folder / "training", "Losses")


def make(folder: Path) -> None:
    """Everything, on the GPU where there is one."""
    make_networks(folder, pick_device("auto"))
    draw_training(folder)
    make_reference(folder, pick_device("auto"))


if __name__ == "__main__":
    into_folder("guidance_bench.benchmarks.fashion_mnist.make", make)
