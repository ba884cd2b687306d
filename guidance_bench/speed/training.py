"""A step of training beside a plain loop with the same data and network size, and what the internal head adds."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..training.data.dataset import ImageArray
from ..training.execution import Execution
from ..training.protocol import untrained
from ..training.recipe import RECIPES, TrainingRecipe
from ..training.trainer import Trainer
from .plain_loop import PlainSiT
from .ruler import alternate

#: Twelve blocks on 64 tokens; half of SiT-S/2's width on a CPU, its own on a GPU.
CPU = {"batch": 16, "steps": 100_000, "hidden_size": 192, "num_heads": 3}
GPU = {"batch": 256, "steps": 100_000, "hidden_size": 384, "num_heads": 6}
#: Steps in a round.
STEPS = 2
SIDE = 16


def training(rounds: int, device: torch.device) -> dict[str, Any]:
    """Ours with and without the head, and the plain loop with it, in fp32, seconds a step."""
    gpu = device.type == "cuda"
    data = _data()
    steps = STEPS * (10 if gpu else 1)
    with tempfile.TemporaryDirectory() as folder:
        tasks = {
            "ours": _ours("sit_s_2_ig", gpu, data, device, Path(folder) / "ig", steps, rounds),
            "ours, no head": _ours("sit_s_2", gpu, data, device, Path(folder) / "plain", steps, rounds),
            "plain": _plain(data, GPU if gpu else CPU, device, steps),
        }
        times = alternate(tasks, rounds, device)
    return {
        "steps": steps,
        "batch": GPU["batch"] if gpu else CPU["batch"],
        "seconds": times.seconds,
        "speed_over_plain": times.ratio("plain", "ours"),
        "head_cost": times.ratio("ours", "ours, no head"),
    }


def _data() -> ImageArray:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (2000, SIDE, SIDE, 3), dtype=np.uint8)
    return ImageArray("noise", images, np.arange(2000) % 10, [str(c) for c in range(10)])


def _ours(
    name: str, gpu: bool, data: ImageArray, device: torch.device, place: Path, steps: int, rounds: int
) -> Callable[[], float]:
    recipe = RECIPES.create(name, learn_sigma=False, clip=0.0, flip=False, **(GPU if gpu else CPU))
    assert isinstance(recipe, TrainingRecipe)
    place.mkdir()
    trainer = Trainer(recipe, data, untrained(recipe, data), place, name, device, Execution())
    batches = trainer._batches()

    def run() -> float:
        losses: dict[str, Tensor] = {}
        for batch in islice(batches, steps):
            losses, _ = trainer._take(batch)
            trainer.step += 1
        return float(losses["total"])

    return run


def _plain(data: ImageArray, sizes: dict[str, int], device: torch.device, steps: int) -> Callable[[], float]:
    """A loop as papers' programs have it: draws on the device, AdamW, an average updated weight by weight."""
    size = sizes["hidden_size"], 12, sizes["num_heads"], 2, 3, SIDE, 10, 4
    network, average = PlainSiT(*size).to(device), PlainSiT(*size).to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=0)
    loader = _loader(data, sizes["batch"])

    def run() -> float:
        loss = torch.zeros(())
        for x, y in islice(loader, steps):
            loss = _plain_loss(network, x.to(device), y.to(device))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            _average(average, network)
        return float(loss.detach())

    return run


def _plain_loss(network: PlainSiT, x: Tensor, y: Tensor) -> Tensor:
    t, noise = torch.rand(len(x), device=x.device), torch.randn_like(x)
    y = torch.where(torch.rand(len(x), device=x.device) < 0.1, 10, y)
    at = t.view(-1, 1, 1, 1)
    final, inner = network((1 - at) * x + at * noise, t, y)
    target = noise - x
    loss = ((final - target) ** 2).mean()
    return loss if inner is None else loss + 0.5 * ((inner - target) ** 2).mean()


@torch.no_grad()
def _average(average: nn.Module, network: nn.Module) -> None:
    for kept, new in zip(average.parameters(), network.parameters(), strict=True):
        kept.mul_(0.9999).add_(new.data, alpha=1 - 0.9999)


def _loader(data: ImageArray, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    pixels = torch.from_numpy(data.images).permute(0, 3, 1, 2).float() / 127.5 - 1
    labels = torch.from_numpy(data.labels)
    while True:
        order = torch.randperm(len(pixels))
        for start in range(0, len(order) - batch + 1, batch):
            rows = order[start : start + batch]
            yield pixels[rows], labels[rows]
