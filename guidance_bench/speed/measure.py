"""Every measurement by name, their record, and the table that is printed of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..core.environment import describe
from ..core.errors import UserError
from . import evaluation, gpu, sampling, scaling, small, training
from .ruler import limit_threads

#: name -> measurement, called with the number of rounds and the device.
MEASUREMENTS: dict[str, Callable[[int, torch.device], dict[str, Any]]] = {
    "sampling": sampling.sampling,
    "methods": sampling.methods,
    "small": small.small,
    "scaling": scaling.scaling,
    "training": training.training,
    "frechet": evaluation.frechet,
    "precision": evaluation.precision,
    "features": evaluation.features,
    "sampling_gpu": gpu.sampling_gpu,
    "methods_gpu": gpu.methods_gpu,
    "small_gpu": small.small,
    "evaluation_gpu": gpu.evaluation_gpu,
}
#: Those that need a CUDA GPU.
NEED_GPU = ("sampling_gpu", "methods_gpu", "small_gpu", "evaluation_gpu")


@dataclass(frozen=True)
class Goal:
    """What a ratio should be.

    Attributes:
        path: where the ratio stands in the measurement.
        work: in words.
        least: it should be no less; None: no lower bound.
        most: it should be no more; None: no upper bound.
    """

    path: tuple[str, ...]
    work: str
    least: float | None = None
    most: float | None = None

    def met(self, value: float) -> bool:
        """Whether the value lies within."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    @property
    def text(self) -> str:
        """The goal in signs."""
        bounds = ((">=", self.least), ("<=", self.most))
        return ", ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)


GOALS = (
    Goal(("sampling", "speed_over_plain", "fp32"), "SiT sampling, fp32, over the plain fp32 loop", least=1.0),
    Goal(("sampling", "speed_over_plain", "bf16"), "SiT sampling, bf16, over the plain fp32 loop", least=1.6),
    Goal(("sampling", "speed_over_plain", "bf16, compiled"), "bf16 and compiled, over the plain fp32 loop", least=1.7),
    Goal(("methods", "cost", "ig / none"), "IG, time over none", most=1.03),
    Goal(("methods", "cost", "ig_cfg / cfg"), "IG+CFG, time over CFG", most=1.03),
    Goal(("methods", "cost", "cfg at t <= 0.7 / none"), "CFG at t <= 0.7, time over none", most=1.75),
    Goal(("methods", "overhead"), "the sampler's own overhead", most=0.02),
    Goal(("small", "speed_over_plain", "none"), "digits' network over the plain loop, none", least=1.3),
    Goal(("small", "speed_over_plain", "ig"), "digits' network over the plain loop, IG", least=1.3),
    Goal(("small", "speed_over_plain", "cfg"), "digits' network over the plain loop, CFG", least=1.3),
    Goal(("small", "speed_over_plain", "none, compiled"), "digits' network compiled, none", least=1.3),
    Goal(("small", "speed_over_plain", "ig_cfg, compiled"), "digits' network compiled, IG+CFG", least=1.3),
    Goal(("scaling", "samples", "exponent"), "exponent of time over samples", least=0.97, most=1.03),
    Goal(("training", "speed_over_plain"), "a training step over a plain loop's, fp32", least=1.0),
    Goal(("training", "head_cost"), "a step with the internal head over one without", most=1.02),
    Goal(("sampling_gpu", "speed_over_plain", "bf16, compiled"), "SiT-XL/2, bf16 compiled, over plain TF32", least=3),
    Goal(("sampling_gpu", "speed_over_plain_bf16", "bf16, compiled"), "the same over plain bf16", least=1.5),
    Goal(("sampling_gpu", "share_of_products", "bf16, compiled"), "its share of the rate of products", least=0.45),
    Goal(("methods_gpu", "cost", "ig / none"), "IG on a GPU, time over none", most=1.03),
    Goal(("methods_gpu", "cost", "ig_cfg / cfg"), "IG+CFG on a GPU, time over CFG", most=1.03),
    Goal(("methods_gpu", "cost", "cfg at t <= 0.7 / none"), "CFG at t <= 0.7 on a GPU, over none", most=1.75),
    Goal(("methods_gpu", "overhead"), "the sampler's own overhead on a GPU", most=0.02),
    Goal(("small_gpu", "speed_over_plain", "none, compiled"), "digits' network compiled, over the loop", least=1.3),
    Goal(("evaluation_gpu", "seconds", "all"), "FID, precision, recall, 50k x 10k, seconds", most=20),
    Goal(("frechet", "times_ours_by_median", "scipy"), "Fréchet distance over SciPy's", least=1.0),
    Goal(("frechet", "times_ours_by_median", "torch_fidelity"), "Fréchet distance over torch-fidelity's", least=1.0),
    Goal(("precision", "times_ours_by_median", "torch_fidelity"), "precision, recall over torch-fidelity", least=1.0),
    Goal(("features", "times_ours_by_median", "torch_fidelity"), "Inception over torch-fidelity's", least=1.0),
)


def measure(names: Sequence[str], rounds: int, threads: int, device: torch.device) -> dict[str, Any]:
    """The record of the measurements ``names`` of :data:`MEASUREMENTS` (where empty: all that are for the device).

    Raises:
        UserError: one needs a GPU.
    """
    for name in names:
        if name in NEED_GPU and device.type != "cuda":
            raise UserError(f"only={name!r} needs a CUDA GPU, and device is {device.type}")
    limit_threads(threads)
    # training has sizes of its own for a GPU
    wanted = names or ((*NEED_GPU, "training") if device.type == "cuda" else MEASUREMENTS.keys() - NEED_GPU)
    results = {name: MEASUREMENTS[name](rounds, device) for name in MEASUREMENTS if name in wanted}
    return {"rounds": rounds, "results": results, "environment": describe(device)}


def rows(results: dict[str, Any]) -> Iterator[tuple[str, float, str, bool]]:
    """Work, measured ratio, goal, and whether it is met, of every goal that was measured."""
    for goal in GOALS:
        value: Any = results
        for key in goal.path:
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            yield goal.work, value, goal.text, goal.met(value)


def table(results: dict[str, Any]) -> str:
    """The rows as text of at most 80 columns."""
    head = f"{'work':<46} {'measured':>9}  {'goal':<16} met"
    lines = [f"{w:<46} {v:9.3f}  {goal:<16} {'yes' if met else 'no'}" for w, v, goal, met in rows(results)]
    return "\n".join([head, "-" * len(head), *lines])
