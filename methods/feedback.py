"""Feedback guidance: a scale that follows how well the class explains the trajectory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from guidance_bench.core.parameters import param
from guidance_bench.guidance.class_and_null import ClassAndNull
from guidance_bench.guidance.method import Step, per_sample_dot, register_method


@register_method("feedback")
class FeedbackGuidance(ClassAndNull):
    """x0_null + w (x0_class - x0_null) with w = p / (p - (1 - pi)), p the running posterior of the class, for each
    sample.

    Koulischer et al., "Feedback Guidance of Diffusion Models", arXiv 2506.06085 (repository
    FelixKoulischer/FBG_using_edm2). With sigma = t / (1 - t) and y = x / (1 - t), after a step from t to t'

        log p <- log p - tau / (2 var) (|y' - mu_class|^2 - |y' - mu_null|^2) + delta,

    mu = r y + (1 - r) x0, r = (sigma' / sigma)^2, var = sigma'^2 (1 - r), kept between the value that gives
    ``max_scale`` and 3. delta = log((1 - pi) 3 / 2) / ((1 - t0) count) and tau = 2 var(t1) |delta| / 10, as in that
    program, with var(t1) of a uniform grid; its t0 .5 and t1 .4 are places on EDM2's Karras grid, in flow time .716
    and .491. Where the solver adds noise, the kernel is the solver's own: mean and variance of y' are those of its
    transition with v = (x - x0) / t. ``pi`` = 1 is no guidance; the smaller it is, the earlier and the stronger
    the guidance. The scale starts at 1 / pi.
    """

    summary = "CFG with a scale fed back from how well the class explains the path"
    paper = "Feedback Guidance of Diffusion Models, arXiv 2506.06085"
    space = "x0"
    fixed_grid = True
    versions: ClassVar = {"euler_maruyama": 2}  # took the step for one of DDPM
    neutral: ClassVar = {"pi": 1.0}

    pi: float = param(0.95, low=0.5, high=1.0, doc="mixing weight of the class; 1 is no guidance")
    t0: float = param(0.716, low=0.01, high=0.99, doc="where an unexplained sample reaches scale 3, from the data")
    t1: float = param(0.491, low=0.01, high=0.99, doc="where the feedback balances the drift, from the data")
    max_scale: float = param(10.0, low=1.001, doc="limit of the scale")

    def combine(self, step: Step, cond: Tensor, null: Tensor) -> Tensor:
        """By the posterior so far; both predictions are kept to weigh them after the step."""
        step.state.update(cond=cond, null=null)
        posterior = torch.exp(step.state.get("log_posterior", torch.zeros_like(step.x[:, :1, :1, :1])))
        return null + posterior / (posterior - (1 - self.pi)) * (cond - null)

    def observe(self, step: Step, x_next: Tensor, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """Weigh how well each prediction explains the step that was made."""
        if "cond" not in state or step.t_next == 0:
            return state
        delta = math.log((1 - self.pi) * 1.5) / ((1 - self.t0) * step.count)
        _, reference = transition(min(self.t1 + 1 / step.count, 1.0), self.t1)
        keeps, takes, variance = kernel(step)
        error = (x_next - keeps * step.x) / (1 - step.t_next)
        errors = [error - takes * state[key] for key in ("cond", "null")]
        difference = per_sample_dot(errors[0], errors[0]) - per_sample_dot(errors[1], errors[1])
        tau = 2 * reference * abs(delta) / 10
        log_posterior = state.get("log_posterior", 0.0) - tau / (2 * variance) * difference + delta
        least = math.log((1 - self.pi) * self.max_scale / (self.max_scale - 1))
        return {"log_posterior": log_posterior.clamp(least, 3.0)}


def kernel(step: Step) -> tuple[float, float, float]:
    """The mean (keeps x / (1 - t') + takes x0) and the variance of y' = x' / (1 - t')."""
    moves, data_next = step.transition, 1 - step.t_next
    if moves is None or moves.variance == 0:
        ratio, variance = transition(step.t, step.t_next)
        # r y with y = x / (1 - t), written so that it is 0 at t = 1
        return sigma(step.t_next) ** 2 * (1 - step.t) / step.t**2 * data_next, 1 - ratio, variance
    pull = moves.velocity_scale / step.t
    return moves.x_scale + pull, -pull / data_next, moves.variance / data_next**2


def sigma(t: float) -> float:
    """Noise level over data level, t < 1."""
    return t / (1 - t)


def transition(t: float, t_next: float) -> tuple[float, float]:
    """r = (sigma' / sigma)^2 and the variance sigma'^2 (1 - r) of the step's posterior; at t = 1, sigma is infinite."""
    ratio = (sigma(t_next) * (1 - t) / t) ** 2
    return ratio, sigma(t_next) ** 2 * (1 - ratio)
