"""How strong a method is in units of CFG: the scale of CFG whose velocity its own comes closest to.

w_e = <v_method - v_null, d> / |d|^2 with d = v_class - v_null, for each sample and evaluation: the least-squares
answer. CFG at scale w has w_e = w at every time, the plain conditional velocity has 1. The comparison in arXiv
2602.22570 finds many methods near CFG at another scale; so a gain is told beside that of CFG of equal strength.

Beside it the size of the update, |v_method - v_null| / |v_null|: w_e sees one direction alone.
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
        updates: |v_method - v_null| / |v_null| at each, mean over the samples.
        update_spreads: its standard deviation over the samples.
    """

    times: list[float]
    means: list[float]
    spreads: list[float]
    updates: list[float]
    update_spreads: list[float]

    @property
    def mean(self) -> float:
        """Over all evaluations and samples."""
        return float(np.mean(self.means))

    def as_dict(self) -> Mapping[str, Any]:
        """Plain values."""
        return {
            "t": self.times,
            "w_e": self.means,
            "sd": self.spreads,
            "update": self.updates,
            "update_sd": self.update_spreads,
            "mean": self.mean,
        }


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
    found: list[tuple[float, ...]] = []

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
            update = guided - null
            strength = per_sample_dot(update, direction) / per_sample_dot(direction, direction)
            size = (per_sample_dot(update, update) / per_sample_dot(null, null)).sqrt()
            found.append((float(step.t), *_moments(strength), *_moments(size)))
            return guided

    Measured.name = method.name
    sample(backbone, Measured(), solver, labels=labels, noise=noise, weak=weak, seed=seed)
    if not np.isfinite(found).all():
        raise UserError("class and null label give equal velocities: there is no strength to measure")
    return Strength(*(list(values) for values in zip(*found, strict=True)))


def _moments(values: Tensor) -> tuple[float, float]:
    """Mean and standard deviation over the samples."""
    wide = values.flatten().double()
    return float(wide.mean()), float(wide.std(correction=0))


def _plain(query: Query) -> Any:
    return (yield query, query.null())
