"""EP-CFG: CFG brought back to the energy of the conditional prediction."""

from __future__ import annotations

import torch
from torch import Tensor

from guidance_bench.core.parameters import param
from guidance_bench.guidance.class_and_null import ClassAndNull
from guidance_bench.guidance.method import Step, extrapolate, register_method

#: Percentiles between which the robust form counts a sample's squares.
LOW, HIGH = 0.45, 0.55


@register_method("energy_preserving")
class EnergyPreservingCFG(ClassAndNull):
    """g sqrt(E(x0_class) / E(g)) with g = x0_null + scale (x0_class - x0_null), E the sum of a sample's squares.

    Zhang et al., "EP-CFG: Energy-Preserving Classifier-Free Guidance", arXiv 2412.09966. A later program
    (Totoro97/minFM @3855686) does the same to velocities. The ``robust`` form, that of the paper's results, sums the
    squares between their own 45th and 55th percentiles alone.
    """

    summary = "CFG brought back to the energy of the conditional prediction"
    paper = "EP-CFG: Energy-Preserving Classifier-Free Guidance, arXiv 2412.09966"
    space = "x0"

    scale: float = param(1.5, doc="1 is no guidance")
    robust: bool = param(False, doc="energy of the middle tenth of a sample's squares alone")

    def combine(self, step: Step, cond: Tensor, null: Tensor) -> Tensor:
        """CFG's data prediction, rescaled."""
        guided = extrapolate(null, cond, self.scale)
        return guided * (self.energy(cond) / self.energy(guided).clamp_min(1e-12)).sqrt().view(-1, 1, 1, 1)

    def energy(self, x: Tensor) -> Tensor:
        """Of each sample, (N,)."""
        squares = x.flatten(1).square()
        if not self.robust:
            return squares.sum(1)
        ordered = squares.sort(1).values
        low, high = (_percentile(ordered, share) for share in (LOW, HIGH))
        return torch.where((squares >= low) & (squares <= high), squares, 0).sum(1)


def _percentile(ordered: Tensor, share: float) -> Tensor:
    """Linear between neighbours, (N, 1); torch.quantile is limited in size."""
    place = share * (ordered.shape[1] - 1)
    below = int(place)
    above = min(below + 1, ordered.shape[1] - 1)
    return torch.lerp(ordered[:, below : below + 1], ordered[:, above : above + 1], place - below)
