"""Training of small backbones: seeded step by step, resumable, finished models kept by the hash of their recipe."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..core.console import bar
from ..core.errors import UserError
from ..core.identity import short_hash
from ..core.randomness import generator
from ..networks.backbone import BACKBONES, Backbone
from ..networks.checkpoints import load_backbone, save_backbone
from ..networks.dataset import Dataset
from ..storage.files import atomic
from ..storage.pinned import pinned
from .ema import EMA
from .loss import flow_matching_loss

SAVE_EVERY_SECONDS = 10.0
#: What training.json says of a finished model.
FACTS = ("recipe", "sha256", "seconds", "losses", "parameters")


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a trained network (up to rounding), as plain values; its hash names the model.

    Attributes:
        backbone: registered name.
        config: the backbone's parameters.
        data: name and sha256 of the training set.
        steps, batch, learning_rate, weight_decay, warmup: of AdamW; the rate warms up linearly and decays as a
        cosine to zero.
        ema: decay of the averaged weights, which are the ones kept.
        label_drop: probability of replacing a label by the null label.
        tap_weight: weight of the internal head's loss.
        seed: of the initial weights, the order of the data, times and noise.
    """

    backbone: str
    config: Mapping[str, Any]
    data: str
    steps: int
    batch: int
    learning_rate: float
    seed: int
    ema: float = 0.995
    weight_decay: float = 0.0
    warmup: int = 50
    label_drop: float = 0.1
    tap_weight: float = 0.5

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON form; of a backbone that is a plug-in, or not what it was at first, also what names its code."""
        code = BACKBONES.entry(self.backbone).code
        return {**self.__dict__, "config": dict(self.config), **({"code": code} if code else {})}

    @property
    def name(self) -> str:
        """First 12 hex digits of the recipe's hash."""
        return short_hash(self.as_dict())


def untrained(recipe: Mapping[str, Any]) -> Backbone:
    """The network of a recipe as it is before training, from the recipe's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe["seed"])
        return BACKBONES.create(recipe["backbone"], **recipe["config"]).build()


@dataclass
class TrainingState:
    """What a resumed training needs."""

    network: Backbone
    average: EMA[Backbone]
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    losses: list[list[float]] = field(default_factory=list)


def train(
    recipe: Recipe, data: Dataset, folder: Path, device: torch.device, title: str
) -> tuple[Backbone, dict[str, Any]]:
    """Return the trained network and its facts; train it, or go on training it, only as far as needed.

    Args:
        recipe: what to train.
        data: the training set named by the recipe.
        folder: models are kept in ``folder/<recipe name>``.
        device: where to train.
        title: shown beside the progress bar.

    Returns:
        The averaged network in evaluation mode, and {"recipe", "sha256", "seconds", "losses"}.
    """
    place = folder / recipe.name
    model, facts = place / "model.safetensors", place / "training.json"
    known = pinned(model, facts, FACTS, lambda: _run(recipe, data, place, device, title))
    return load_backbone(model, device=str(device)).eval(), known


def _run(recipe: Recipe, data: Dataset, place: Path, device: torch.device, title: str) -> dict[str, Any]:
    state = _begin(recipe, device)
    checkpoint = place / "resume.pt"
    _restore(checkpoint, state, device)
    x, y = data.x.to(device), data.y.to(device)
    started = saved = time.perf_counter()
    before = state.seconds
    with bar(recipe.steps, title, "step", state.step) as progress:
        while state.step < recipe.steps:
            loss = _step(recipe, state, x, y)
            state.step += 1
            progress.update()
            state.seconds = before + time.perf_counter() - started
            if state.step % 50 == 0 or state.step == recipe.steps:
                state.losses.append([state.step, float(loss)])
                progress.set_postfix(loss=f"{float(loss):.4f}")
            if time.perf_counter() - saved > SAVE_EVERY_SECONDS:
                _save(checkpoint, state)
                saved = time.perf_counter()
    save_backbone(state.average.network, place / "model.safetensors")
    checkpoint.unlink(missing_ok=True)
    return {
        "recipe": recipe.as_dict(),
        "seconds": state.seconds,
        "losses": state.losses,
        "parameters": sum(p.numel() for p in state.network.parameters() if p.requires_grad),
    }


def _begin(recipe: Recipe, device: torch.device) -> TrainingState:
    network = untrained(recipe.as_dict()).to(device).train()
    optimizer = torch.optim.AdamW(
        [p for p in network.parameters() if p.requires_grad],
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        betas=(0.9, 0.99),
        fused=True,
    )
    return TrainingState(network, EMA(network, recipe.ema), optimizer)


def _step(recipe: Recipe, state: TrainingState, x: Tensor, y: Tensor) -> Tensor:
    """One optimiser step; its draws are keyed by (seed, step), so a resumed training repeats them exactly."""
    rows, t, drop, noise = _draws(recipe, state.step, len(x), tuple(x.shape[1:]))
    rows, t, drop, noise = (v.to(x.device) for v in (rows, t, drop, noise))
    labels = torch.where(drop < recipe.label_drop, state.network.num_classes, y[rows])
    taps = state.network.trained_taps
    losses = flow_matching_loss(
        state.network, x[rows], labels, t, noise, tap=taps[0] if taps else None, tap_weight=recipe.tap_weight
    )
    for group in state.optimizer.param_groups:
        group["lr"] = recipe.learning_rate * _rate(state.step, recipe.steps, recipe.warmup)
    state.optimizer.zero_grad(set_to_none=True)
    losses["total"].backward()
    state.optimizer.step()
    state.average.update(state.network, state.step)
    return losses["total"].detach()


def _draws(recipe: Recipe, step: int, count: int, shape: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    draw = generator(recipe.seed, "training", step=step)
    rows = torch.from_numpy(draw.integers(count, size=recipe.batch))
    # Stratified times: the same uniform law with less variance from batch to batch.
    strata = (torch.arange(recipe.batch) + torch.from_numpy(draw.random(recipe.batch))) / recipe.batch
    drop = torch.from_numpy(draw.random(recipe.batch))
    noise = torch.from_numpy(draw.standard_normal((recipe.batch, *shape), dtype="float32"))
    return rows, strata.float(), drop, noise


def _rate(step: int, steps: int, warmup: int) -> float:
    if step < warmup:
        return (step + 1) / warmup
    half_turn = torch.tensor(torch.pi * (step - warmup) / max(1, steps - warmup))
    return 0.5 * (1 + float(torch.cos(half_turn)))


def _save(path: Path, state: TrainingState) -> None:
    value = {
        "network": state.network.state_dict(),
        "average": state.average.network.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "step": state.step,
        "seconds": state.seconds,
        "losses": state.losses,
    }
    with atomic(path) as temporary:
        torch.save(value, temporary)


def _restore(path: Path, state: TrainingState, device: torch.device) -> None:
    if not path.exists():
        return
    try:
        value = torch.load(path, map_location=device, weights_only=True)
        state.network.load_state_dict(value["network"])
        state.average.network.load_state_dict(value["average"])
        state.optimizer.load_state_dict(value["optimizer"])
    except Exception as error:
        raise UserError(
            f"{str(path)!r} cannot be resumed from ({type(error).__name__}): delete it to train anew"
        ) from error
    state.step, state.seconds, state.losses = value["step"], value["seconds"], value["losses"]
