"""Optimisers of a recipe, and the learning rate over the steps."""

from __future__ import annotations

import math

import torch
from torch import nn

from ..recipe import TrainingRecipe
from .muon import Muon


def optimisers(recipe: TrainingRecipe, network: nn.Module) -> list[torch.optim.Optimizer]:
    """AdamW of all weights; or Muon of those of two and more dimensions and AdamW of the rest."""
    weights = [p for p in network.parameters() if p.requires_grad]
    if recipe.optimizer == "adamw":
        return [_adamw(recipe, weights, recipe.weight_decay)]
    matrices = [p for p in weights if p.dim() > 1]
    rest = [p for p in weights if p.dim() <= 1]
    muon = Muon(matrices, recipe.learning_rate, weight_decay=recipe.weight_decay)
    return [muon, *([_adamw(recipe, rest, 0.0)] if rest else [])]


def _adamw(recipe: TrainingRecipe, weights: list[nn.Parameter], decay: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        weights, lr=recipe.learning_rate, weight_decay=decay, betas=(0.9, recipe.beta2), fused=True
    )


def rate(recipe: TrainingRecipe, step: int) -> float:
    """The learning rate of a step (from 0): a linear rise, then constant or half a cosine to zero."""
    if step < recipe.warmup:
        return recipe.learning_rate * ((step + 1) / recipe.warmup)
    if recipe.decay == "constant":
        return recipe.learning_rate
    # In single precision, as the benchmarks' networks were trained: their weights stay what they are.
    half_turn = torch.tensor(math.pi * (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup))
    return recipe.learning_rate * (0.5 * (1 + float(torch.cos(half_turn))))
