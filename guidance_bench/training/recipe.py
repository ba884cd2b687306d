"""What a training is, as a registered dataclass of plain values; the class of a preset is its defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from ..core.errors import UserError
from ..core.parameters import Configurable, param
from ..core.registry import Registry
from ..networks.backbone import BACKBONES, Backbone, BackboneConfig
from .data.dataset import TrainingData


class RecipeBase(Configurable):
    """What the registry asks of a recipe; :class:`TrainingRecipe` is the one to derive from."""

    summary: ClassVar[str] = ""
    paper: ClassVar[str] = ""


@dataclass
class TrainingRecipe(RecipeBase):
    """Base of recipes. The fields decide the trained weights, up to rounding; together with the data they name them.

    ``guidance-bench train recipe=NAME recipe.FIELD=...`` sets them. The network's channels, size and classes are those
    of the data.

    Attributes:
        summary: one line for ``guidance-bench list``.
        paper: where the settings come from.
        free: fields that change no weight; left out of the name.
    """

    free: ClassVar[tuple[str, ...]] = ()

    backbone: str = param("sit", doc="registered backbone")
    hidden_size: int = param(384, low=4, doc="width of a token")
    depth: int = param(12, low=1, doc="blocks")
    num_heads: int = param(6, low=1, doc="attention heads")
    patch_size: int = param(2, low=1, doc="height and width of a patch")
    tap: int | None = param(None, low=1, doc="block after which the internal head hangs")
    learn_sigma: bool = param(False, doc="heads have twice the channels, of which half is not used", quiet=True)
    steps: int = param(400_000, low=1, doc="optimiser steps")
    batch: int = param(256, low=1, doc="samples a step, over all processes")
    optimizer: str = param("adamw", choices=("adamw", "muon"), doc="muon: of matrices, AdamW of the rest")
    learning_rate: float = param(1e-4, doc="at its highest")
    beta2: float = param(0.999, high=1.0, doc="of AdamW")
    weight_decay: float = param(0.0, doc="of AdamW, or of Muon's matrices")
    warmup: int = param(0, doc="steps over which the rate rises from 0")
    decay: str = param("constant", choices=("constant", "cosine"), doc="of the rate after that; cosine ends at 0")
    clip: float = param(0.0, doc="largest norm of the gradient; 0: as it is")
    ema: tuple[float, ...] = param((0.9999,), high=1.0, doc="decays of averaged weights; the first are the result")
    ema_ramp: bool = param(False, doc="the first steps average over less: decay at most (1 + step) / (10 + step)")
    label_drop: float = param(0.1, high=1.0, doc="probability that a label becomes the null label")
    tap_weight: float = param(0.5, doc="weight of the internal head's loss")
    times: str = param(
        "uniform", choices=("uniform", "lognormal", "stratified"), doc="law of t; stratified: uniform, one a stratum"
    )
    cosine: bool = param(False, doc="LightningDiT's cosine term in the loss")
    precision: str = param("fp32", choices=("fp32", "tf32", "bf16", "fp16"), doc="of the network while it trains")
    flip: bool = param(False, doc="mirror half of the images, drawn anew each epoch")
    seed: int = param(0, high=2**63 - 1, doc="of initial weights, order, times, noise and dropped labels")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.ema or len(set(self.ema)) != len(self.ema):
            raise UserError(f"recipe {self.name or type(self).__name__}: ema={self.ema} must name different decays")

    def network(self, data: TrainingData) -> BackboneConfig:
        """The configuration of the network for these data.

        Raises:
            UserError: the sizes do not fit each other.
        """
        channels, height, width = data.shape
        if height != width:
            raise UserError(f"{data.name}: samples of {height} x {width} are not square, as the backbones need")
        config: dict[str, Any] = {
            "input_size": height,
            "patch_size": self.patch_size,
            "in_channels": channels,
            "hidden_size": self.hidden_size,
            "depth": self.depth,
            "num_heads": self.num_heads,
            "num_classes": data.num_classes,
            "tap": self.tap,
        }
        if self.learn_sigma:
            config["learn_sigma"] = True
        return BACKBONES.create(self.backbone, **config)

    def as_dict(self, data: TrainingData) -> dict[str, Any]:
        """What names the trained weights, as plain JSON values: fields, network, data, and the code of plug-ins."""
        fields = {name: value for name, value in self.parameters().items() if name not in self.free}
        code = {
            kind: found
            for kind, found in (("recipe_code", _code(type(self))), ("code", BACKBONES.entry(self.backbone).code))
            if found
        }
        return {**fields, "config": self.network(data).parameters(), "data": data.name, **code}


def _code(cls: type[TrainingRecipe]) -> dict[str, Any]:
    """Of a plug-in what names its code; a preset of ours is nothing but its fields."""
    name = cls.name
    return RECIPES.entry(name).code if name in RECIPES.names() and RECIPES.entry(name).cls is cls else {}


RECIPES: Registry[RecipeBase] = Registry(
    "recipe", "guidance_bench.training.recipes", lambda: RecipeBase, "guidance_bench.recipes"
)
register_recipe = RECIPES.register


def seeded(config: BackboneConfig, seed: int) -> Backbone:
    """The network with the weights that a training of this seed begins from."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return config.build()


def decay_name(decay: float) -> str:
    """How files call averaged weights: ``ema_0.9999``."""
    return f"ema_{decay:g}"
