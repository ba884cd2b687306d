"""The samplers against what the official programs gave on small random models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

import guidance_bench as gb

DATA = Path(__file__).parent / "data" / "official"

#: run -> (method, parameters, solver, parameters). Official "num_steps" counts time points for torchdiffeq.
SIT = {
    "ode_euler": ("none", {}, "euler", {"steps": 8}),
    "ode_euler_cfg": ("cfg", {"scale": 1.5, "channels": 3}, "euler", {"steps": 8}),
    "ode_heun2_cfg": ("cfg", {"scale": 1.5, "channels": 3}, "heun", {"steps": 5}),
    "ode_dopri5": ("none", {}, "dopri5", {"atol": 1e-6, "rtol": 1e-3}),
    "sde_euler": ("none", {}, "euler_maruyama", {"steps": 8}),
    "sde_euler_cfg": ("cfg", {"scale": 1.5, "channels": 3}, "euler_maruyama", {"steps": 8}),
}
SIT_IG = {
    "ode_euler_cfg": ("cfg", {"scale": 1.5, "low": 0.0, "high": 0.7}, "euler", {"steps": 9}),
    "ode_heun_cfg": ("cfg", {"scale": 1.8}, "heun", {"steps": 7, "correct_last": False}),
    "sde_plain": ("none", {}, "euler_maruyama", {"steps": 8}),
    "sde_cfg": ("cfg", {"scale": 1.35, "low": 0.0, "high": 0.7}, "euler_maruyama", {"steps": 8}),
    "sde_ig": ("ig", {"scale": 1.9, "low": 0.3, "high": 1.0}, "euler_maruyama", {"steps": 8}),
    "sde_ig_cfg": ("ig_cfg", {"ig_scale": 1.4, "cfg_scale": 1.35, "cfg_high": 0.7}, "euler_maruyama", {"steps": 8}),
}
LIGHTNING = {
    "euler": ("none", {}, "euler", {"steps": 8, "shift": 0.3}),
    "euler_cfg": ("cfg", {"scale": 6.7, "high": 1 - 0.125, "channels": 3}, "euler", {"steps": 8, "shift": 0.3}),
    "euler_noshift": ("none", {}, "euler", {"steps": 8}),
}
LIGHTNING_IG = {
    "heun2_ig": ("ig", {"scale": 1.7}, "heun", {"steps": 5, "shift": 0.3}),
    "heun2_ig_cfg": (
        "ig_cfg",
        {"ig_scale": 1.4, "cfg_scale": 1.45, "cfg_high": 1 - 0.19},
        "heun",
        {"steps": 5, "shift": 0.3},
    ),
    "euler_ig": ("ig", {"scale": 1.7}, "euler", {"steps": 8, "shift": 0.3}),
}
RUNS = [
    (file, run, *setting)
    for file, runs in {"sit": SIT, "sit_ig": SIT_IG, "lightningdit": LIGHTNING, "lightningdit_ig": LIGHTNING_IG}.items()
    for run, setting in runs.items()
]


def golden(name: str) -> tuple[dict[str, torch.Tensor], dict]:
    with safe_open(DATA / f"{name}.safetensors", "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, json.loads(file.metadata()["about"])  # noqa: SIM118


def network(name: str, tensors: dict[str, torch.Tensor], about: dict) -> gb.Backbone:
    weights = {k.removeprefix("weights."): v for k, v in tensors.items() if k.startswith("weights.")}
    given = {"num_heads": about["config"]["num_heads"]}
    if "encoder_depth" in about["config"]:
        given["tap"] = about["config"]["encoder_depth"]
    return gb.load_backbone(weights, layout=name, **given)


def official_difference(file: str, run: str, method: str, parameters: dict, solver: str, settings: dict) -> float:
    tensors, about = golden(file)
    expected = tensors[f"sample.{run}"]
    noise = tensors.get(f"noise.{run}", tensors.get("noise"))
    result = gb.sample(
        network(file, tensors, about),
        gb.METHODS.create(method, **parameters),
        gb.SOLVERS.create(solver, **settings),
        labels=tensors["labels"],
        noise=tensors["latents"],
        # Upstream CFG doubles the batch and keeps the first half, noise included.
        sde_noise=None if noise is None else noise[:, : len(tensors["labels"])],
    )
    return float((result - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize(("file", "run", "method", "parameters", "solver", "settings"), RUNS)
def test_samples_equal_the_official_programs(file, run, method, parameters, solver, settings):
    assert official_difference(file, run, method, parameters, solver, settings) < 1e-4


def test_every_golden_run_is_tried():
    for file in ("sit", "sit_ig", "lightningdit", "lightningdit_ig"):
        tensors, _ = golden(file)
        runs = {key.removeprefix("sample.") for key in tensors if key.startswith("sample.")}
        assert runs == {run for name, run, *_ in RUNS if name == file}


@pytest.mark.parametrize("file", ["sit_ig", "lightningdit", "lightningdit_ig"])
def test_losses_and_gradients_equal_the_official_programs(file):
    tensors, about = golden(file)
    backbone = network(file, tensors, about)
    lightning = file.startswith("lightningdit")
    losses = gb.flow_matching_loss(
        backbone,
        tensors["loss.x1" if lightning else "loss.x0"],
        tensors["loss.y"],
        1 - tensors["loss.t"] if lightning else tensors["loss.t"],
        tensors["loss.noise"],
        tap=about["config"].get("encoder_depth"),
        cosine=lightning,
    )
    final = losses["final"]
    if lightning:
        mse = final + 0.5 * losses["intermediate"] if "intermediate" in losses else final
        torch.testing.assert_close(mse, tensors["loss.mse"], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(losses["cosine"], tensors["loss.cosine"], rtol=1e-6, atol=1e-6)
    else:
        torch.testing.assert_close(final, tensors["loss.final"], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(losses["intermediate"], tensors["loss.intermediate"], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(losses["total"], tensors["loss.total"], rtol=1e-6, atol=1e-6)
    losses["total"].backward()
    named = dict(backbone.named_parameters())
    norm = torch.stack([p.grad.double().norm() for p in named.values() if p.grad is not None]).norm()
    assert float(norm) == pytest.approx(float(tensors["loss.grad_norm"]), rel=1e-6)
    for key in [k for k in tensors if k.startswith("loss.grad.")]:
        torch.testing.assert_close(named[key.removeprefix("loss.grad.")].grad, tensors[key], rtol=1e-5, atol=1e-6)
