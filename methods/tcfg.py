"""TCFG: CFG without the part of the unconditional prediction that leaves the common direction."""

from __future__ import annotations

import torch
from torch import Tensor

from guidance_bench.core.parameters import param
from guidance_bench.guidance.class_and_null import ClassAndNull
from guidance_bench.guidance.method import Step, extrapolate, per_sample_dot, register_method


@register_method("tcfg")
class TangentialCFG(ClassAndNull):
    """e + scale (eps_class - e), e the projection of eps_null on the first right singular vector of [eps_null;
    eps_class].

    Kwon et al., "TCFG: Tangential Damping Classifier-free Guidance", arXiv 2503.18137. The singular vector of two rows
    has a closed form: m = cos(a) eps_null + sin(a) eps_class with tan(2 a) = 2 <eps_null, eps_class> / (|eps_null|^2 -
    |eps_class|^2). In noise predictions, as scores are in the paper; at t = 1, where they are all x, the limit is
    taken.
    """

    summary = "CFG with the unconditional prediction damped to the common direction"
    paper = "TCFG: Tangential Damping Classifier-free Guidance, arXiv 2503.18137"
    space = "eps"

    scale: float = param(1.5, doc="1 is no guidance")

    def combine(self, step: Step, cond: Tensor, null: Tensor) -> Tensor:
        """CFG away from the projection."""
        return extrapolate(project_on_common(null, cond), cond, self.scale)


def project_on_common(null: Tensor, cond: Tensor) -> Tensor:
    """Each sample's ``null`` projected on the first right singular vector of the two rows (null, cond)."""
    angle = 0.5 * torch.atan2(2 * per_sample_dot(null, cond), per_sample_dot(null, null) - per_sample_dot(cond, cond))
    common = angle.cos() * null + angle.sin() * cond
    return per_sample_dot(null, common) / per_sample_dot(common, common).clamp_min(1e-12) * common
