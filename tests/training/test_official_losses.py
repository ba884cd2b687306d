"""The loop's step on the official programs' inputs gives their losses and their gradient's norm; Muon is theirs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from official_programs import DATA
from safetensors import safe_open

import guidance_bench as gb
from guidance_bench.training.data.dataset import ImageArray
from guidance_bench.training.data.draws import Batch
from guidance_bench.training.execution import Execution
from guidance_bench.training.optimisers.muon import Muon, orthogonal
from guidance_bench.training.optimisers.of_recipe import optimisers, rate
from guidance_bench.training.protocol import the_recipe
from guidance_bench.training.trainer import Trainer

CPU = torch.device("cpu")


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("name", ["sit_ig", "lightningdit", "lightningdit_ig"])
def test_a_step_has_the_official_losses_and_gradient(tmp_path, name, parts):
    with safe_open(DATA / f"{name}.safetensors", "pt") as file:
        golden = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    lightning, head = name.startswith("lightning"), name.endswith("ig")
    network = gb.load_backbone(
        {k.removeprefix("weights."): v for k, v in golden.items() if k.startswith("weights.")},
        layout=name, num_heads=4, **({"tap": 2} if head else {}),
    )  # fmt: skip
    for weight in (p for n, p in network.named_parameters() if n != "pos_embed"):
        weight.requires_grad_(True)
    data = ImageArray("d", np.zeros((4, 8, 8, 1), np.uint8), np.zeros(4, np.int64), "a")
    recipe = the_recipe("lightningdit_xl_1_ig" if lightning else "sit_xl_2_ig", {"batch": 4, "steps": 1})
    trainer = Trainer(recipe, data, network, tmp_path, "golden", CPU, Execution(accumulate=parts))
    x0 = golden["loss.x1" if lightning else "loss.x0"]
    t = 1 - golden["loss.t"] if lightning else golden["loss.t"]
    losses, norm = trainer._take(Batch(x0, golden["loss.y"].long(), t, golden["loss.noise"]))
    assert float(losses["total"]) == pytest.approx(float(golden["loss.total"]), rel=1e-6)
    assert float(norm) == pytest.approx(float(golden["loss.grad_norm"]), rel=1e-5)
    if lightning:
        mse = losses["final"] + (0.5 * losses["intermediate"] if head else 0)
        assert float(mse) == pytest.approx(float(golden["loss.mse"].mean()), rel=1e-6)
        assert float(losses["cosine"]) == pytest.approx(float(golden["loss.cosine"].mean()), rel=1e-6)
    else:
        assert float(losses["intermediate"]) == pytest.approx(float(golden["loss.intermediate"].mean()), rel=1e-6)


@pytest.mark.parametrize("shape", [(12, 5), (5, 12), (6, 2, 2, 2)])
def test_muons_first_step_in_closed_form(shape):
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(shape))
    before, gradient = weight.detach().clone(), torch.randn(shape)
    weight.grad = gradient.clone()
    Muon([weight], lr=0.01, momentum=0.9, weight_decay=0.1).step()
    assert torch.equal(weight.grad, gradient)
    # the first momentum is (1 - m) G, so the update is a multiple of G, and its orthogonal form does not see it
    matrix = gradient.flatten(1)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    step = ((1 - 0.001) * before - weight.detach()).flatten(1)
    scale = 0.01 * 0.2 * math.sqrt(max(shape[:2])) * math.sqrt(max(1, matrix.shape[0] / matrix.shape[1]))
    singular = torch.diagonal(left.mT @ step @ right.mT) / scale
    assert ((singular > 0.6) & (singular < 1.3)).all()  # five iterations in bfloat16
    assert torch.dist(left @ torch.diag(singular * scale) @ right, step) / step.norm() < 0.05
    assert torch.linalg.matrix_norm(orthogonal(torch.eye(4)) - torch.eye(4), 2) < 0.4


def test_muon_takes_what_has_two_dimensions_and_adamw_the_rest():
    network = gb.BACKBONES.create("sit", hidden_size=16, depth=1, num_heads=2, input_size=4, num_classes=3).build()
    muon, adamw = optimisers(gb.RECIPES.create("lightningdit_b_1_ig"), network)
    (matrices,), (rest,) = muon.param_groups, adamw.param_groups
    assert all(p.dim() > 1 for p in matrices["params"]) and all(p.dim() == 1 for p in rest["params"])
    assert len(matrices["params"]) + len(rest["params"]) == sum(p.requires_grad for p in network.parameters())
    assert (matrices["weight_decay"], rest["weight_decay"], rest["betas"]) == (0.01, 0.0, (0.9, 0.95))
    (only,) = optimisers(gb.RECIPES.create("sit_b_2_ig"), network)
    assert (only.param_groups[0]["lr"], only.param_groups[0]["weight_decay"]) == (1e-4, 0.0)


def test_the_rate_rises_and_falls_as_said():
    recipe = the_recipe("digits_sit_ig", {"steps": 100, "warmup": 10, "learning_rate": 0.5})
    assert [rate(recipe, step) for step in (0, 4, 9, 10)] == pytest.approx([0.05, 0.25, 0.5, 0.5])
    assert rate(recipe, 55) == pytest.approx(0.25) and rate(recipe, 100) == pytest.approx(0.0, abs=1e-7)
    assert rate(gb.RECIPES.create("sit_b_2"), 399_999) == 1e-4


def test_official_settings_are_those_of_the_programs():
    asked = (
        "optimizer",
        "learning_rate",
        "beta2",
        "batch",
        "ema",
        "label_drop",
        "times",
        "cosine",
        "clip",
        "flip",
        "tap",
    )
    told = {
        "sit_xl_2": ("adamw", 1e-4, 0.999, 256, (0.9999,), 0.1, "uniform", False, 0.0, True, None),
        "sit_xl_2_ig": ("adamw", 1e-4, 0.999, 256, (0.9999,), 0.1, "uniform", False, 1.0, False, 8),
        "lightningdit_xl_1": ("adamw", 2e-4, 0.95, 1024, (0.9999,), 0.1, "lognormal", True, 1.0, True, None),
        "lightningdit_xl_1_ig": ("muon", 2e-4, 0.95, 256, (0.9995,), 0.1, "uniform", True, 1.0, True, 8),
    }
    for name, values in told.items():
        recipe = gb.RECIPES.create(name)
        assert tuple(getattr(recipe, field) for field in asked) == values, name
