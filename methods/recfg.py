"""ReCFG: CFG whose two coefficients need not sum to one, so that the mean of the guided prediction stays right."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from guidance_bench.backbone import Backbone
from guidance_bench.errors import UserError
from guidance_bench.guidance import Guidance, Guide, Query, Step, held, per_sample_dot, register_method
from guidance_bench.interpolant import from_velocity, interpolate
from guidance_bench.noise import KeyedRandom
from guidance_bench.parameters import param


@register_method("recfg")
class RectifiedGuidance(Guidance):
    """scale eps_class - (scale - 1) rho eps_null, rho = E[eps_class eps_null] / E[eps_null^2] at this time and class.

    Xia et al., "Rectified Diffusion Guidance for Conditional Generation", arXiv 2410.18737 (repository thuxmf/recfg).
    The expectations are over training data, for each place of the latent; :func:`make_table` writes them for a
    network. Without a table, rho is each sample's own ratio over all its places: a cheaper relative that needs no
    data.
    """

    summary = "CFG with a second coefficient that keeps the mean right"
    paper = "Rectified Diffusion Guidance for Conditional Generation, arXiv 2410.18737"
    space = "eps"
    neutral: ClassVar = {"scale": 1.0}

    scale: float = param(1.5, doc="1 is no guidance")
    table: str | None = param(None, doc="file of ratios that make_table wrote; none: the sample's own ratio")

    def evaluations(self, depth: int) -> tuple[float, float]:
        """Two; one at scale 1. The table is made beforehand."""
        return (1, 1) if self.scale == 1 else (2, 2)

    def guide(self, step: Step, query: Query) -> Guide:
        """One batched forward of two."""
        if self.scale == 1:
            return (yield query)
        cond, null = yield query, query.null()
        if self.table is None:
            ratio = per_sample_dot(cond, null) / per_sample_dot(null, null).clamp_min(1e-12)
        else:
            ratio = ratio_at(self.table, step).to(cond)
        return self.scale * cond - (self.scale - 1) * ratio * null


def ratio_at(table: str, step: Step) -> Tensor:
    """The ratios (N, C, H, W) of the step's classes, linear between the table's times."""
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
    """Times (K,), falling, and ratios (K, classes, C, H, W) of a table."""
    if not Path(path).is_file():
        raise UserError(f"recfg: table={path!r} does not exist; make_table(path, backbone, ...) writes one")
    tensors = load_file(path)
    return tensors["times"], tensors["ratios"]


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
) -> None:
    """Measure the ratios of a network on training data and write them.

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
    save_file({"times": torch.tensor(times), "ratios": ratios.float()}, path)


def _noise_predictions(backbone: Backbone, x0: Tensor, y: Tensor, noise: Tensor, t: float) -> tuple[Tensor, Tensor]:
    time = torch.full((2 * len(x0),), t, device=x0.device)
    x = interpolate(x0, noise, time[: len(x0)])
    both = backbone(torch.cat([x, x]), time, torch.cat([y, torch.full_like(y, backbone.num_classes)])).velocity
    cond, null = from_velocity("eps", torch.cat([x, x]).double(), held("eps", t), both.double()).chunk(2)
    return cond, null
