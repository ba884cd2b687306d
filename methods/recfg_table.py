"""ReCFG's table: the ratio of two noise predictions, measured on training data for each time, class and place."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from guidance_bench.core.errors import UserError
from guidance_bench.core.randomness import KeyedRandom
from guidance_bench.guidance.method import Step, held
from guidance_bench.guidance.prepass import Prepass
from guidance_bench.networks.backbone import Backbone
from guidance_bench.networks.interpolant import from_velocity, interpolate
from guidance_bench.storage.files import atomic
from guidance_bench.storage.pinned import pinned

#: What table.json says of a measured table.
FACTS = ("table_sha256", "evaluations", "seconds")


def measured_table(prepass: Prepass) -> tuple[Path, dict[str, Any]]:
    """The table of a run's network and training data, made at the first call; and its facts for the record.

    Raises:
        UserError: the stored file does not fit its hash.
    """
    table, facts = prepass.folder / "table.safetensors", prepass.folder / "table.json"

    def make() -> dict[str, Any]:
        data, started = prepass.data(), time.perf_counter()
        evaluations = make_table(table, prepass.backbone, data.x, data.y)
        return {"evaluations": evaluations, "seconds": time.perf_counter() - started}

    return table, pinned(table, facts, FACTS, make, key="table_sha256")


def ratio_at(table: str, step: Step) -> Tensor:
    """The ratios (N, C, H, W) of the step's classes, linear between the table's times.

    Raises:
        UserError: the table cannot be read or was made for another network.
    """
    times, ratios = load_table(table)
    if ratios.shape[1:] != (step.num_classes, *step.x.shape[1:]):
        raise UserError(f"recfg: table={table!r} is of shape {tuple(ratios.shape)}, made for another network")
    above = int((times > step.t).sum().clamp(1, len(times) - 1))  # times fall, as in sampling
    start, end = float(times[above - 1]), float(times[above])
    share = min(max((start - step.t) / (start - end), 0.0), 1.0)
    labels = step.labels.to(ratios.device)
    return torch.lerp(ratios[above - 1, labels], ratios[above, labels], share)


@lru_cache(maxsize=2)
def load_table(path: str) -> tuple[Tensor, Tensor]:
    """Times (K,), falling, and ratios (K, classes, C, H, W) of a table.

    Raises:
        UserError: no such file, or it holds no table.
    """
    try:
        tensors = load_file(require_table(path))
        return tensors["times"], tensors["ratios"]
    except (SafetensorError, KeyError) as error:
        raise UserError(f"recfg: table={path!r} is no table that make_table wrote: {error}") from error


def require_table(path: str) -> str:
    """The path of a table that exists; :class:`UserError` where it does not."""
    if not Path(path).is_file():
        raise UserError(
            f"recfg: table={path!r} does not exist: table=measured measures one in a run, make_table writes one"
        )
    return path


@torch.inference_mode()
def make_table(
    path: str | Path,
    backbone: Backbone,
    latents: Tensor,
    labels: Tensor,
    *,
    times: Sequence[float] | None = None,
    draws: int = 1,
    batch: int = 256,
    seed: int = 0,
) -> int:
    """Measure the ratios of a network on training data and write them; returns the number of evaluations.

    Args:
        path: of the .safetensors file.
        backbone: the network that will be guided.
        latents: training latents (M, C, H, W), of every class.
        labels: their classes (M,).
        times: where to measure, two at least; by default 0, 1 and 19 times between.
        draws: noises for each latent.
        batch: latents in a forward pass.
        seed: of the noise.
    """
    times = sorted(torch.linspace(1, 0, 21).tolist() if times is None else times, reverse=True)
    shape = (len(times), backbone.num_classes, *backbone.shape)
    products, squares = torch.zeros(shape, dtype=torch.float64), torch.zeros(shape, dtype=torch.float64)
    for start in range(0, len(latents), batch):
        x0, y = latents[start : start + batch].to(backbone.device), labels[start : start + batch].to(backbone.device)
        for draw in range(draws):
            noise = KeyedRandom(seed, range(start, start + len(x0)), draw).normal("recfg", x0.shape[1:]).to(x0)
            for k, t in enumerate(times):
                cond, null = _noise_predictions(backbone, x0, y, noise, t)
                products[k].index_add_(0, y.cpu(), (cond * null).cpu())
                squares[k].index_add_(0, y.cpu(), null.square().cpu())
    ratios = torch.where(squares > 0, products / squares.clamp_min(1e-30), 1.0)
    with atomic(Path(path)) as temporary:
        save_file({"times": torch.tensor(times), "ratios": ratios.float()}, temporary)
    return 2 * len(times) * draws * len(latents)


def _noise_predictions(backbone: Backbone, x0: Tensor, y: Tensor, noise: Tensor, t: float) -> tuple[Tensor, Tensor]:
    time = torch.full((2 * len(x0),), t, device=x0.device)
    x = interpolate(x0, noise, time[: len(x0)])
    both = backbone(torch.cat([x, x]), time, torch.cat([y, torch.full_like(y, backbone.num_classes)])).velocity
    cond, null = from_velocity("eps", torch.cat([x, x]).double(), held("eps", t), both.double()).chunk(2)
    return cond, null
