"""From a recipe and data to a trained network: made once, named by what it is, gone on with after an interruption."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..core.environment import describe, pick_device
from ..core.errors import UserError
from ..core.identity import short_hash
from ..core.parameters import check_names
from ..core.processes import agree, begin, is_first
from ..networks.backbone import Backbone
from ..networks.checkpoints import RESULT, load_backbone, save_backbone
from ..networks.dataset import Dataset
from ..storage.files import check_writable, sweep, write_json
from ..storage.folder_lock import alone
from ..storage.pinned import pinned
from .data.dataset import InMemory, TrainingData
from .data.source import Source, open_source
from .execution import Execution, explained
from .recipe import RECIPES, RecipeBase, TrainingRecipe, decay_name, seeded
from .tracking import check_tracker
from .trainer import Trainer

#: What training.json says of a finished training.
FACTS = ("recipe", "sha256", "seconds", "losses", "parameters", "averages", "environment")
FACTS_FILE, RECIPE_FILE = "training.json", "recipe.json"


@dataclass(frozen=True)
class Trained:
    """A finished training: its folder, the file of the first averaged weights, and what training.json says."""

    folder: Path
    model: Path
    facts: dict[str, Any]


def train(
    recipe: str | RecipeBase | type[RecipeBase],
    data: str | Source | TrainingData | Dataset,
    folder: str | Path | None = None,
    *,
    output: str | Path = "outputs",
    device: str | torch.device = "auto",
    execution: Execution | None = None,
    **parameters: Any,
) -> Backbone:
    """Train a network, go on training it, or take the trained one; returns the first averaged weights.

    Args:
        recipe: registered name, class or instance.
        data: "digits", "fashion_mnist[:FOLDER]", "cifar10[:FOLDER]", "folder:PATH", "latents:PATH", a plug-in's
            source, or data in memory.
        folder: the training lies in ``folder/<name>``, by the hash of recipe and data; None: ``output/models``.
        output: as of the command line.
        device: "auto", "cpu", "cuda", ...
        execution: batches in parts, checkpoints and the like.
        parameters: fields of the recipe that are to differ.

    Raises:
        UserError: recipe or data are not there or do not fit each other, the loss is not finite, memory runs out.
    """
    place = Path(folder) if folder is not None else Path(output) / "models"
    made = make(the_recipe(recipe, parameters), the_data(data), place, device, execution or Execution())
    return load_backbone(made.model, device=str(pick_device(str(device))))


def make(
    recipe: TrainingRecipe,
    data: TrainingData,
    folder: Path,
    device: str | torch.device,
    execution: Execution,
) -> Trained:
    """As :func:`train`, with everything at hand; what is finished is only checked."""
    if recipe.flip and not data.mirrors:
        raise UserError(
            f"recipe.flip=true needs mirror images, {data.name} has none: encode with flip=true, or give "
            "recipe.flip=false"
        )
    where = begin(pick_device(str(device)))
    spec = recipe.as_dict(data)
    place = place_of(recipe, data, folder)
    check_tracker(execution.tracker)
    check_writable(place / RESULT)
    with alone(place, f"training {place.name}") if is_first() else nullcontext():
        if not agree((place / FACTS_FILE).exists):
            _run(recipe, data, spec, place, where, execution)
        facts = pinned(place / RESULT, place / FACTS_FILE, FACTS, dict)
    return Trained(place, place / RESULT, facts)


def place_of(recipe: TrainingRecipe, data: TrainingData, folder: Path) -> Path:
    """Where a training lies: in a folder by the hash of recipe and data."""
    return folder.expanduser() / short_hash(recipe.as_dict(data))


def _run(
    recipe: TrainingRecipe,
    data: TrainingData,
    spec: dict[str, Any],
    place: Path,
    device: torch.device,
    execution: Execution,
) -> None:
    """Train on all processes together; the first writes the result."""
    with explained(place.name, recipe, execution):  # the network and its averages may be too large already
        title = f"train {recipe.name or type(recipe).__name__} ({place.name})"
        trainer = Trainer(recipe, data, untrained(recipe, data), place, place.name, device, execution, title=title)
    if trainer.accelerator.is_main_process:
        sweep(place)
        write_json(place / RECIPE_FILE, spec)
    trainer.run()
    if trainer.accelerator.is_main_process:
        pinned(place / RESULT, place / FACTS_FILE, FACTS, lambda: _write(trainer, spec))
        trainer.checkpoints.clear()
    trainer.accelerator.wait_for_everyone()


def _write(trainer: Trainer, spec: dict[str, Any]) -> dict[str, Any]:
    trainer.save_averages(trainer.place)
    save_backbone(trainer.averages[0].network, trainer.place / RESULT, trainer.origin(trainer.recipe.ema[0]))
    return {
        "recipe": spec,
        **trainer.facts(),
        "averages": [decay_name(decay) for decay in trainer.recipe.ema],
        "environment": describe(trainer.device),
    }


def untrained(recipe: TrainingRecipe, data: TrainingData) -> Backbone:
    """The network before training, from the recipe's seed."""
    return seeded(recipe.network(data), recipe.seed)


def the_recipe(recipe: str | RecipeBase | type[RecipeBase], parameters: dict[str, Any]) -> TrainingRecipe:
    """The recipe that is meant, with some fields set.

    Raises:
        UserError: no such recipe or field.
    """
    if isinstance(recipe, str):
        made = RECIPES.create(recipe, **parameters)
    elif isinstance(recipe, type):
        check_names(f"recipe {recipe.__name__}", recipe, parameters)
        made = recipe(**parameters)
    else:
        check_names(f"recipe {recipe.name!r}", type(recipe), parameters)
        made = replace(recipe, **parameters) if parameters else recipe
    if not isinstance(made, TrainingRecipe):
        raise UserError(f"recipe {recipe!r} is no TrainingRecipe: derive from guidance_bench.TrainingRecipe")
    return made


def the_data(data: str | Source | TrainingData | Dataset) -> TrainingData:
    """The data that are meant.

    Raises:
        UserError: as the source's reader.
    """
    if isinstance(data, str):
        return open_source(data)
    if isinstance(data, Source):
        return data.load()
    return InMemory(data) if isinstance(data, Dataset) else data
