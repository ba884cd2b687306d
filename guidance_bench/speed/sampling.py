"""Sampling beside a plain loop with the same weights: precision, compiler, and what each method costs over none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..guidance.method import METHODS, Guidance
from ..networks.backbone import BACKBONES, Backbone
from ..networks.compiled import compiled
from ..networks.precision import in_precision
from ..sampling.sampler import sample
from ..sampling.solvers import SOLVERS
from .plain_loop import PlainSiT, euler, guide
from .ruler import Times, alternate, matrix_rate

#: Networks: the one of the CPU targets, a benchmark's small one, and the published one for a GPU.
SIT_B = {"hidden_size": 768, "depth": 12, "num_heads": 12, "input_size": 32, "tap": 4}
DIGITS = {
    **{"hidden_size": 64, "depth": 6, "num_heads": 4, "input_size": 8, "in_channels": 1, "num_classes": 10},
    "tap": 2,
}
SIT_XL = {"hidden_size": 1152, "depth": 28, "num_heads": 16, "input_size": 32, "tap": 8}
SCALE = 1.4
#: Methods whose time is compared.
COSTED = ("none", "ig", "cfg", "cfg_interval", "ig_cfg")


@dataclass
class Workload:
    """One network with its plain peer, a batch and a number of steps.

    Attributes:
        config: of a SiT.
        batch: samples.
        steps: Euler steps.
        device: where.
    """

    config: dict[str, Any]
    batch: int
    steps: int
    device: torch.device

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.network = _random(self.config, generator).to(self.device)
        self.peer = _peer(self.network, self.config).to(self.device)
        shape = self.network.shape
        self.noise = torch.randn(self.batch, *shape, generator=generator).to(self.device)
        self.labels = torch.arange(self.batch, device=self.device) % self.network.num_classes

    def ours(
        self, method: str = "none", precision: str = "fp32", compile: bool = False, solver: str = "euler"
    ) -> Callable[[], Tensor]:
        """A task: our sampler, on a network that is converted and compiled before it is timed."""
        network = in_precision(self.network, precision)
        network = compiled(network) if compile else network
        steps = SOLVERS.create(solver, steps=self.steps)
        return partial(
            sample, network, _method(method), steps, labels=self.labels, noise=self.noise, precision=precision
        )

    def plain(self, method: str = "none", dtype: torch.dtype = torch.float32) -> Callable[[], Tensor]:
        """A task: the plain loop."""
        peer = self.peer if dtype == torch.float32 else _peer(self.network, self.config).to(self.device, dtype)
        high = 0.7 if method == "cfg_interval" else 1.0
        return partial(euler, guide(peer, method, SCALE, high), self.noise, self.labels, self.steps)

    def operations(self) -> float:
        """Floating-point operations of one forward pass of the batch: products with weights, and attention's own."""
        config: Any = self.network.config
        tokens = self.network.tokens
        attention = 4 * tokens**2 * config.hidden_size * config.depth
        blocks = sum(p.numel() for n, p in self.network.named_parameters() if "blocks" in n and "adaLN" not in n)
        return float(self.batch * (2 * tokens * blocks + attention))


def _method(name: str) -> Guidance:
    if name == "ig_cfg":
        return METHODS.create("ig_cfg", ig_scale=SCALE, cfg_scale=SCALE, cfg_high=1.0)
    interval = {"high": 0.7} if name == "cfg_interval" else {}
    name = name.removesuffix("_interval")
    return METHODS.create(name, **({} if name == "none" else {"scale": SCALE}), **interval)


def _random(config: dict[str, Any], generator: torch.Generator) -> Backbone:
    network = BACKBONES.create("sit", **config).build().eval().requires_grad_(False)
    for weight in network.parameters():
        if weight is not network.pos_embed:
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.02)
    return network


def _peer(network: Backbone, config: dict[str, Any]) -> PlainSiT:
    c: Any = network.config
    peer = PlainSiT(
        c.hidden_size, c.depth, c.num_heads, c.patch_size, c.in_channels, c.input_size, c.num_classes, c.tap
    )
    peer.load_state_dict(network.state_dict())
    return peer.eval().requires_grad_(False)


def sampling(rounds: int, device: torch.device) -> dict[str, Any]:
    """SiT-B/2 in each precision, compiled or not, against the plain loop."""
    work = Workload(SIT_B, 4, 2, device)
    tasks: dict[str, Callable[[], Any]] = {
        "plain loop, fp32": work.plain(),
        "plain loop, bf16": work.plain(dtype=torch.bfloat16),
        "fp32": work.ours(),
        "bf16": work.ours(precision="bf16"),
        "bf16, compiled": work.ours(precision="bf16", compile=True),
        "fp32 products": matrix_rate(torch.float32, device),
        "bf16 products": matrix_rate(torch.bfloat16, device),
    }
    times = alternate(tasks, rounds, device)
    ours = ("fp32", "bf16", "bf16, compiled")
    return {
        "network": "SiT-B/2",
        "method": "none",
        "batch": work.batch,
        "speed_over_plain": {name: times.ratio("plain loop, fp32", name) for name in ours},
        "speed_over_plain_bf16": times.ratio("plain loop, bf16", "bf16, compiled"),
        "share_of_products": shares(times, work.steps * work.operations(), ours),
        "operations_per_second": {name: times.values[name] for name in ("fp32 products", "bf16 products")},
        "difference": differences(times, "plain loop, fp32", ours),
        "seconds": times.seconds,
    }


def methods(rounds: int, device: torch.device) -> dict[str, Any]:
    """What guidance costs: IG over none, CFG in an interval over none, IG+CFG over CFG; the loop's own overhead."""
    work = Workload(SIT_B, 4, 5, device)
    tasks: dict[str, Callable[[], Any]] = {name: work.ours(name) for name in COSTED}
    tasks["the forward passes of none alone"] = bare(work, work.network)
    times = alternate(tasks, rounds, device)
    return {
        "network": "SiT-B/2",
        "batch": work.batch,
        "cost": costs(times),
        "overhead": times.ratio("none", "the forward passes of none alone") - 1,
        "seconds": times.seconds,
    }


def bare(work: Workload, network: Backbone) -> Callable[[], None]:
    """A task: as many forward passes of ``network`` as the workload has steps, and nothing else."""

    @torch.inference_mode()
    def run() -> None:
        x, t = work.noise, torch.full((work.batch,), 0.5, device=work.device)
        for _ in range(work.steps):
            network(x, t, work.labels)

    return run


def costs(times: Times) -> dict[str, float]:
    """Time of each of :data:`COSTED` over the method that it adds to."""
    return {
        "ig / none": times.ratio("ig", "none"),
        "ig_cfg / cfg": times.ratio("ig_cfg", "cfg"),
        "cfg at t <= 0.7 / none": times.ratio("cfg_interval", "none"),
        "cfg / none": times.ratio("cfg", "none"),
    }


def shares(times: Times, operations: float, names: tuple[str, ...]) -> dict[str, float]:
    """Operations a second over the measured rate of products in the precision that a task's name begins with."""
    return {name: operations / times.median(name) / times.values[f"{name[:4]} products"] for name in names}


def differences(times: Times, peer: str, names: tuple[str, ...]) -> dict[str, float]:
    """Relative distance of what each task returned from what ``peer`` returned."""
    return {name: _distance(times.values[name], times.values[peer]) for name in names}


def _distance(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())
