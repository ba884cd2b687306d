"""What the official programs gave on small random models, and how far we are from it."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import safe_open

import guidance_bench as gb

DATA = Path(__file__).parents[1] / "data" / "official"

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
#: An interval under Heun, which that program asks once a step; the network is that of SIT_IG.
SIT_IG_HEUN_INTERVAL = {
    "heun_cfg_high": (
        "cfg",
        {"scale": 1.8, "low": 0.0, "high": 0.72},
        "heun",
        {"steps": 7, "correct_last": False, "interval": "step"},
    ),
    "heun_cfg_low_high": (
        "cfg",
        {"scale": 1.8, "low": 0.33, "high": 0.8},
        "heun",
        {"steps": 8, "correct_last": False, "interval": "step"},
    ),
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
FILES = {
    "sit": SIT,
    "sit_ig": SIT_IG,
    "sit_ig_heun_interval": SIT_IG_HEUN_INTERVAL,
    "lightningdit": LIGHTNING,
    "lightningdit_ig": LIGHTNING_IG,
}
RUNS = [(file, run, *setting) for file, runs in FILES.items() for run, setting in runs.items()]


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
    if file == "sit_ig_heun_interval":  # it holds samples alone
        (inputs, about), file = golden("sit_ig"), "sit_ig"
        tensors = {**inputs, **tensors}
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
