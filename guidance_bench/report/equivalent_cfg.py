"""How strong a method is in units of CFG: the scale of CFG whose velocity its own comes closest to.

w_e = <v_method - v_null, d> / |d|^2 with d = v_class - v_null, for each sample and evaluation: the least-squares
answer. CFG at scale w has w_e = w at every time, the plain conditional velocity has 1. The comparison in arXiv
2602.22570 finds many methods near CFG at another scale; so a gain is told beside that of CFG of equal strength.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from ..core.errors import UserError
from ..guidance.composition import Composition, Parts
from ..guidance.method import Guidance, Guide, Query, Step, per_sample_dot, together
from ..networks.backbone import Backbone
from ..sampling.sampler import sample
from ..sampling.solvers import Solver


@dataclass(frozen=True)
class Strength:
    """Strength over a trajectory.

    Attributes:
        times: of the evaluations, as the solver made them.
        means: w_e at each, mean over the samples.
        spreads: its standard deviation over the samples.
    """

    times: list[float]
    means: list[float]
    spreads: list[float]

    @property
    def mean(self) -> float:
        """Over all evaluations and samples."""
        return float(np.mean(self.means))

    def as_dict(self) -> Mapping[str, Any]:
        """Plain values."""
        return {"t": self.times, "w_e": self.means, "sd": self.spreads, "mean": self.mean}


def cfg_equivalent_strength(
    backbone: Backbone,
    method: Guidance,
    solver: Solver | str,
    *,
    labels: Tensor,
    noise: Tensor,
    weak: Backbone | None = None,
    seed: int = 0,
) -> Strength:
    """Measure w_e along the method's own trajectories; the evaluations for it are no cost of the method.

    Args:
        backbone: with a null label.
        method: a guidance method.
        solver: a solver, or the name of one.
        labels: classes (N,).
        noise: latents at t = 1, (N, C, H, W).
        weak: the weaker network, for methods that ask for it.
        seed: of every draw after the initial noise.

    Raises:
        UserError: as :func:`guidance_bench.sampling.sampler.sample`; a network without a null label.
    """
    found: list[tuple[float, float, float]] = []

    @dataclass(eq=False)
    class Measured(Composition):
        """The method, and what it comes to."""

        def parts(self) -> Parts:
            return {"method": method}

        def init(self) -> dict[str, Any]:
            found.clear()  # what the dry run before it left
            return super().init()

        def guide(self, step: Step, query: Query) -> Guide:
            guided, (cond, null) = yield from together(self.part("method", step, query), _plain(query))
            direction = cond - null
            strength = per_sample_dot(guided - null, direction) / per_sample_dot(direction, direction)
            values = strength.flatten().double()
            found.append((float(step.t), float(values.mean()), float(values.std(correction=0))))
            return guided

    Measured.name = method.name
    sample(backbone, Measured(), solver, labels=labels, noise=noise, weak=weak, seed=seed)
    if not all(np.isfinite(mean) for _, mean, _ in found):
        raise UserError("class and null label give equal velocities: there is no strength to measure")
    times, means, spreads = (list(values) for values in zip(*found, strict=True))
    return Strength(times, means, spreads)


def _plain(query: Query) -> Any:
    return (yield query, query.null())
