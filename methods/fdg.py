"""Frequency-decoupled guidance: a scale for each band of a Laplacian pyramid."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from guidance_bench.core.parameters import param
from guidance_bench.guidance.class_and_null import ClassAndNull
from guidance_bench.guidance.filters import collapse, pyramid
from guidance_bench.guidance.method import Step, per_sample_dot, register_method


@register_method("fdg")
class FrequencyDecoupledGuidance(ClassAndNull):
    """v_class + sum over bands b of (w_b - 1) b(v_class - v_null); the bands of a Laplacian pyramid sum to the whole.

    Sadat et al., "Guidance in the Frequency Domain Enables High-Fidelity Sampling at Low CFG Scales", arXiv
    2506.19713; the pyramid and the projection are those of diffusers' guider of this name. Low frequencies fix the
    composition and want a small scale, high ones the detail and want a large one. The paper's SDXL setting is 5 and
    10. With more than two levels the scales between are evenly spaced. The pyramid is linear, so the update is affine
    and the space does not matter; with ``parallel`` below 1, which weakens what is parallel to a band of v_class (see
    ``apg``), it is one of velocities.
    """

    summary = "CFG with a smaller scale for low frequencies than for high ones"
    paper = "Guidance in the Frequency Domain Enables High-Fidelity Sampling at Low CFG Scales, arXiv 2506.19713"
    neutral: ClassVar = {"low_scale": 1.0, "high_scale": 1.0}

    low_scale: float = param(1.2, doc="of the lowest band; 1 is no guidance")
    high_scale: float = param(1.8, doc="of the highest band; 1 is no guidance")
    levels: int = param(2, low=2, high=6, doc="bands")
    parallel: float = param(1.0, high=1.0, doc="share of the parallel part that is kept in each band")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.parallel != 1:
            object.__setattr__(self, "space", "v")

    def combine(self, step: Step, cond: Tensor, null: Tensor) -> Tensor:
        """Band by band."""
        updates, strong = pyramid(cond - null, self.levels), pyramid(cond, self.levels)
        rise = (self.low_scale - self.high_scale) / (self.levels - 1)
        scaled = [
            (self.high_scale + level * rise - 1) * self._projected(update, band)
            for level, (update, band) in enumerate(zip(updates, strong, strict=True))
        ]
        return cond + collapse(scaled)

    def _projected(self, update: Tensor, band: Tensor) -> Tensor:
        if self.parallel == 1:
            return update
        along = per_sample_dot(update, band) / per_sample_dot(band, band).clamp_min(1e-12) * band
        return update - (1 - self.parallel) * along
