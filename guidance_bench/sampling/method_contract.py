"""What every guidance method must satisfy, our own and a plugin's: ``guidance-bench check-method my_method.py``.

Each check samples a few latents from tiny networks with random weights, once for SiT and once for LightningDiT.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ..core.errors import UserError
from ..guidance.method import METHODS, Guidance, Query
from ..networks.backbone import BACKBONES, Backbone, Edit
from .driver import Answer, Driver, run_guide
from .dry_run import check_method, draws_by_step, dry_steps
from .ledger import Ledger
from .sampler import sample
from .solvers import SOLVERS
from .unchanged import StateError

NETWORKS = ("sit", "lightningdit")
#: Largest difference between samples made in batches of different sizes; matrix products round differently.
BATCH_TOLERANCE = 1e-5
SOLVERS_TRIED = (("euler", 4), ("heun", 3), ("euler_maruyama", 4))


class CheckError(AssertionError):
    """A method does not satisfy a check; the message says how."""


@dataclass(frozen=True)
class Case:
    """A method and the networks and inputs that it is tried on."""

    method: Guidance
    backbone: Backbone
    weak: Backbone
    labels: Tensor
    noise: Tensor

    def sample(self, method: Guidance | None = None, solver: str = "euler", **options: Any) -> Tensor:
        """Latents (N, C, H, W) of three steps, or of ``steps``."""
        steps = options.pop("steps", 3)
        rows = options.pop("rows", slice(None))
        backbone = options.pop("backbone", self.backbone)
        return sample(
            backbone,
            method or self.method,
            SOLVERS.create(solver, steps=steps),
            labels=self.labels[rows],
            noise=self.noise[rows],
            weak=self.weak,
            indices=range(len(self.labels))[rows],
            **options,
        )


Check = Callable[[Case], None]


def check_neutral(case: Case) -> None:
    """With its neutral parameters the method is the plain conditional velocity."""
    neutral = case.method.neutral or ({"scale": 1.0} if hasattr(case.method, "scale") else {})
    plain, off = case.sample(METHODS.create("none")), case.sample(METHODS.create(case.method.name, **neutral))
    require_close(off, plain, 1e-5, f"neutral setting {dict(neutral)} differs from no guidance")


def check_effect(case: Case) -> None:
    """With its defaults it changes the samples."""
    if case.method.name != "none" and torch.equal(case.sample(), case.sample(METHODS.create("none"))):
        raise CheckError("the defaults change nothing")


DECLARE = (
    'an update whose weights do not sum to one, or one that is not linear, must declare space = "v" (or "x0", "eps")'
)


def check_space(case: Case) -> None:
    """An "any" method gives one answer in v, x0 and eps; the others are finite at both ends of time."""
    if case.method.space != "any":
        ends = case.sample(solver="heun", steps=2)
        require(bool(ends.isfinite().all()), f"not finite when converted from {case.method.space}")
        return
    own = case.sample()
    for space in ("x0", "eps"):
        moved = type("Moved", (type(case.method),), {"space": space})(**vars_of(case.method))
        require_close(case.sample(moved), own, 1e-5, f"not the same in {space} as in v: {DECLARE}")


def check_cost(case: Case) -> None:
    """The ledger agrees with what the blocks were given, and each stage keeps the promise of ``evaluations``."""
    counter = BlockCounter(case.backbone)
    ledger = Ledger()
    driver = Driver(case.backbone, case.labels, case.weak, ledger)
    x = case.noise.double()
    promised = case.method.evaluations(case.backbone.depth)
    with counter, torch.inference_mode():
        for step in dry_steps(case.method, x, case.labels, case.backbone):
            before = ledger.main
            driver.velocity(case.method, step)
            cost = ledger.main - before
            if promised and not promised[0] - 1e-9 <= cost <= promised[1] + 1e-9:
                raise CheckError(f"t={step.t:.2f} cost {cost:g} evaluations, promised were {promised}")
    counted = counter.rows / len(x) / case.backbone.depth
    require(abs(counted - ledger.main) < 1e-9, f"the blocks saw {counted:g} evaluations, the ledger {ledger.main:g}")


def check_edits(case: Case) -> None:
    """Every edit that the method asks for changes the prediction."""
    x = case.noise.double()
    for step in dry_steps(case.method, x, case.labels, case.backbone)[1::3]:
        for query in asked(case.method, step, case):
            for edit in query.edits:
                plain, edited = (_predict(case, step.x, step.t, edits) for edits in ((), (edit,)))
                moved = float((edited - plain).abs().max())
                require(moved > 1e-6, f"edit {edit.kind!r} on blocks {edit.layers} changes nothing (t={step.t:.2f})")


def check_state(case: Case) -> None:
    """One object serves many batches: nothing of a batch is left in it, and a step's latents are not written to."""
    first = case.sample()
    case.sample(rows=slice(1, 2), solver="heun")
    require(torch.equal(case.sample(), first), "a second run of the same object gives other samples")
    for step in dry_steps(case.method, case.noise.double(), case.labels, case.backbone)[3:5]:
        asked(case.method, step, case)
        require(torch.equal(step.x, case.noise.double()), "guide() writes to step.x")


def check_batches(case: Case) -> None:
    """The samples do not depend on the batch that they are made in."""
    whole = case.sample(seed=3)
    parts = torch.cat([case.sample(rows=slice(0, 1), seed=3), case.sample(rows=slice(1, None), seed=3)])
    require_close(parts, whole, BATCH_TOLERANCE, "samples depend on the batch size")


def check_solvers(case: Case) -> None:
    """ODE and SDE solvers give finite samples; an adaptive one too, or it is refused with a sentence."""
    for solver, steps in SOLVERS_TRIED:
        made = case.sample(solver=solver, steps=steps)
        require(bool(made.isfinite().all()), f"{solver} gives samples that are not finite")
    dopri5 = SOLVERS.create("dopri5", atol=1.0, rtol=1.0)
    try:
        made = sample(case.backbone, case.method, dopri5, labels=case.labels, noise=case.noise, weak=case.weak)
    except UserError:
        draws = draws_by_step(case.method, case.backbone)
        require(case.method.fixed_grid or draws, "dopri5 is refused, though the method is not declared fixed_grid")
        return
    require(not case.method.fixed_grid and bool(made.isfinite().all()), "dopri5 gives samples that are not finite")


def check_precision(case: Case) -> None:
    """A bfloat16 network gives float32 samples near those of the float32 network."""
    half, weak = (tiny(name, torch.bfloat16) for name in (network_name(case.backbone), "weak"))
    made, exact = replace(case, weak=weak).sample(backbone=half), case.sample()
    require(made.dtype == exact.dtype and bool(made.isfinite().all()), "a bfloat16 network spoils the samples")
    difference = float((made - exact).square().mean().sqrt() / exact.std())
    require(difference < 0.25, f"bfloat16 differs from float32 by {difference:.2f} of the samples' spread")


CHECKS: dict[str, Check] = {
    "neutral": check_neutral,
    "effect": check_effect,
    "space": check_space,
    "cost": check_cost,
    "edits": check_edits,
    "state": check_state,
    "batches": check_batches,
    "solvers": check_solvers,
    "precision": check_precision,
}


def run_checks(method: Guidance, network: str) -> dict[str, str]:
    """The checks that fail, with what is wrong."""
    case = make_case(method, network)
    try:
        check_method(method, case.backbone, case.weak)
    except StateError as error:
        return {name: "not tried, see state" for name in CHECKS} | {"state": str(error)}
    problems = {}
    for name, check in CHECKS.items():
        try:
            check(case)
        except CheckError as error:
            problems[name] = str(error)
        except Exception as error:  # a plugin's own mistake is a finding, whatever it is
            problems[name] = f"{type(error).__name__}: {error}"
    return problems


def make_case(method: Guidance, network: str) -> Case:
    """A method on a tiny network of a kind, three samples."""
    backbone = tiny(network)
    noise = torch.randn(3, *backbone.shape, generator=torch.Generator().manual_seed(1))
    return Case(method, backbone, tiny("weak"), torch.tensor([0, 2, 3]), noise)


@lru_cache(maxsize=8)
def tiny(name: str, dtype: torch.dtype = torch.float32) -> Backbone:
    """A network with random weights everywhere; one fresh from its initialisation would give velocity zero."""
    shape = {"input_size": 8, "patch_size": 2, "in_channels": 2, "num_classes": 5, "hidden_size": 16, "num_heads": 2}
    config = {"depth": 2} if name == "weak" else {"depth": 4, "tap": 2}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        backbone = BACKBONES.create("sit" if name == "weak" else name, **shape, **config).build().eval()
        for parameter in backbone.parameters():
            parameter.add_(0.15 * torch.randn(parameter.shape))
    return backbone.to(dtype).requires_grad_(False)


def network_name(backbone: Backbone) -> str:
    """Under which it is registered."""
    return str(backbone.config.name)  # type: ignore[union-attr]


class BlockCounter:
    """Counts the rows that the blocks of a network are given, inside a ``with``."""

    def __init__(self, backbone: Backbone) -> None:
        self.blocks: Any = backbone.blocks
        self.rows = 0
        self._handles: list[Any] = []

    def __enter__(self) -> BlockCounter:
        self._handles = [block.attn.register_forward_hook(self._count) for block in self.blocks]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _count(self, _module: object, inputs: tuple[Tensor, ...], _output: object) -> None:
        self.rows += len(inputs[0])


def asked(method: Guidance, step: Any, case: Case) -> list[Query]:
    """Every query of one evaluation, answered by the network."""
    queries: list[Query] = []
    driver = Driver(case.backbone, case.labels, case.weak, Ledger())

    def spy(answer: Answer) -> Answer:
        def answers(round_: tuple[Query, ...]) -> tuple[Tensor, ...]:
            queries.extend(round_)
            return answer(round_)

        return answers

    with torch.inference_mode():
        run_guide(method, step, spy(driver.answering(step)))
    return queries


def vars_of(method: Guidance) -> dict[str, Any]:
    """The fields of a method as they are."""
    return {name: getattr(method, name) for name in method.parameters()}


def _predict(case: Case, x: Tensor, t: float, edits: tuple[Edit, ...]) -> Tensor:
    times = torch.full((len(x),), t)
    with torch.inference_mode():
        return case.backbone(x.float(), times, case.labels, edits=edits).velocity


def require(holds: bool, message: str) -> None:
    """Raise :class:`CheckError` with the message where something does not hold."""
    if not holds:
        raise CheckError(message)


def require_close(actual: Tensor, expected: Tensor, tolerance: float, message: str) -> None:
    """Require two batches of samples to agree to an absolute tolerance."""
    difference = float((actual - expected).abs().max())
    require(difference <= tolerance, f"{message} (by {difference:.2g}, allowed {tolerance:g})")
