"""The benchmarks' door to training: data in memory, draws keyed by step, models kept by the hash of their recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..core.identity import short_hash
from ..core.randomness import generator
from ..networks.backbone import BACKBONES, Backbone
from ..networks.checkpoints import RESULT, load_backbone, save_backbone
from ..networks.dataset import Dataset
from ..storage.pinned import pinned
from .data.dataset import InMemory
from .data.draws import Batch
from .execution import Execution
from .recipe import TrainingRecipe, seeded
from .trainer import Trainer

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

    def settings(self) -> TrainingRecipe:
        """What the loop needs of it."""
        fields: dict[str, Any] = {
            "backbone": self.backbone,
            "steps": self.steps,
            "batch": self.batch,
            "learning_rate": self.learning_rate,
            "beta2": 0.99,
            "weight_decay": self.weight_decay,
            "warmup": self.warmup,
            "decay": "cosine",
            "ema": (self.ema,),
            "ema_ramp": True,
            "label_drop": self.label_drop,
            "tap_weight": self.tap_weight,
            "times": "stratified",
            "seed": self.seed,
        }
        return TrainingRecipe(**fields)

    @property
    def name(self) -> str:
        """First 12 hex digits of the recipe's hash."""
        return short_hash(self.as_dict())


def untrained(recipe: Mapping[str, Any]) -> Backbone:
    """The network of a recipe as it is before training, from the recipe's seed."""
    return seeded(BACKBONES.create(recipe["backbone"], **recipe["config"]), recipe["seed"])


@dataclass(frozen=True)
class StepDraws:
    """Batches whose rows, times, noise and dropped labels are keyed by (seed, step), all of a batch from one stream."""

    recipe: Recipe
    data: Dataset
    null: int

    def batch(self, step: int, part: slice = slice(None)) -> Batch:
        """The samples of a step."""
        recipe, x = self.recipe, self.data.x
        draw = generator(recipe.seed, "training", step=step)
        rows = torch.from_numpy(draw.integers(len(x), size=recipe.batch))
        # Stratified times: the same uniform law with less variance from batch to batch.
        t = (torch.arange(recipe.batch) + torch.from_numpy(draw.random(recipe.batch))) / recipe.batch
        dropped = torch.from_numpy(draw.random(recipe.batch)) < recipe.label_drop
        noise = torch.from_numpy(draw.standard_normal((recipe.batch, *x.shape[1:]), dtype="float32"))
        labels = torch.where(dropped, self.null, self.data.y[rows])
        parts: list[Tensor] = [values[part] for values in (x[rows], labels, t.float(), noise)]
        return Batch(*parts)


def train(
    recipe: Recipe, data: Dataset, folder: Path, device: torch.device, title: str
) -> tuple[Backbone, dict[str, Any]]:
    """Return the trained network and its facts; train it, or go on training it, only as far as needed.

    One process does it; others of the same run wait.

    Args:
        recipe: what to train.
        data: the training set named by the recipe.
        folder: models are kept in ``folder/<recipe name>``.
        device: where to train.
        title: shown beside the progress bar.

    Returns:
        The averaged network in evaluation mode, and {"recipe", "sha256", "seconds", "losses", "parameters"}.

    Raises:
        UserError: as :meth:`guidance_bench.training.trainer.Trainer.run`, or the stored model is damaged.
    """
    place = folder / recipe.name
    model, facts = place / RESULT, place / "training.json"
    known = pinned(model, facts, FACTS, lambda: _run(recipe, data, place, device, title))
    return load_backbone(model, device=str(device)).eval(), known


def _run(recipe: Recipe, data: Dataset, place: Path, device: torch.device, title: str) -> dict[str, Any]:
    network = untrained(recipe.as_dict())
    execution = Execution(checkpoint_seconds=SAVE_EVERY_SECONDS, alone=True)
    draws = StepDraws(recipe, data, network.num_classes)
    trainer = Trainer(recipe.settings(), InMemory(data), network, place, recipe.name, device, execution, draws, title)
    trainer.run()
    save_backbone(trainer.averages[0].network, place / RESULT)
    trainer.checkpoints.clear()
    return {"recipe": recipe.as_dict(), **trainer.facts()}
