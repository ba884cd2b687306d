"""What a job would take: evaluations counted on a stand-in, time and memory from a probe of the real network."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ...core.console import duration
from ...core.errors import UserError
from ...core.identity import short_hash
from ...networks.backbone import Backbone
from ...sampling.dry_run import counting_network
from ...sampling.ledger import Ledger
from ...sampling.sampler import sample
from ..benchmark import Setting
from ..runner import Runner, title
from .findings import Finding, in_units

#: Samples in the probe's forward pass, at first; a pass of a small network is mostly overhead until it holds more.
PROBE = 2
#: More are taken, up to so many, until a pass lasts so many seconds.
MOST = 128
ENOUGH = 0.2
#: A training step costs about as much as three forward passes of its batch.
TRAINING = 3


def cost(
    runner: Runner, todo: Sequence[Setting], seeds: Sequence[int], network: Backbone, weak: Backbone | None
) -> Iterator[Finding]:
    """Evaluations, time and memory of a job.

    Args:
        runner: of the job.
        todo: a setting for each run that is not done.
        seeds: of the runs.
        network, weak: the real ones; untrained where they will be trained.
    """
    seconds = _seconds_a_sample(network)
    yield from _training(runner, seeds, {"main": (network, seconds), "weak": (weak, None)})
    total, rows = 0.0, 1
    alike = {title(setting): setting for setting in todo}  # seeds cost the same
    runs = Counter(map(title, todo))
    for name, setting in alike.items():
        ledger = _counted(setting, runner, network.depth)
        if ledger is None:
            yield Finding("evaluations", "note", f"{name}: not known beforehand")
            continue
        total += runs[name] * ledger.main
        rows = max(rows, math.ceil(ledger.main / max(ledger.forwards, 1)))
        yield Finding("evaluations", "ok", f"{name}: {ledger.main:g} of the main network a sample")
    decoding = _seconds(lambda: runner.benchmark.decode(torch.zeros(1, *network.shape, device=runner.device)))
    left = runner.benchmark.samples * (total * seconds + len(todo) * decoding)
    parts = f"{seconds:.2g} s a forward, {decoding:.2g} s to decode a sample"
    yield Finding("time", "note", f"about {duration(left)} of sampling on one such device: {parts}")
    yield _memory(runner, network, rows * min(runner.batch or runner.benchmark.block, runner.benchmark.samples))


def _training(
    runner: Runner, seeds: Sequence[int], networks: dict[str, tuple[Backbone | None, float | None]]
) -> Iterator[Finding]:
    """Networks that the run would train first, those of several seeds each."""
    wanted = {short_hash(r): (role, r) for seed in seeds for role, r in runner.benchmark.recipes(seed).items()}
    for role, (network, seconds) in networks.items():
        to_train = [r for name, (of, r) in wanted.items() if of == role and _is_trained_here(r, runner, name)]
        if network is None or not to_train:
            continue
        one = seconds or _seconds_a_sample(network)
        steps = sum(recipe["steps"] for recipe in to_train)
        taken = TRAINING * one * sum(recipe["steps"] * recipe["batch"] for recipe in to_train)
        words = f"{role} network, {steps} steps in all, about {duration(taken)}"
        yield Finding("training", "note", words if len(to_train) == 1 else f"{len(to_train)} x {words}")


def _is_trained_here(recipe: dict[str, Any], runner: Runner, name: str) -> bool:
    finished = runner.workspace.models / name / "training.json"
    return "sha256" not in recipe and "steps" in recipe and not finished.is_file()


def _seconds_a_sample(network: Backbone) -> float:
    """Of a forward pass of as many samples as keep the device busy."""
    rows = PROBE
    while (taken := _seconds(partial(_forward, network, rows))) < ENOUGH and rows < MOST:
        rows *= 4
    return taken / rows


def _forward(network: Backbone, rows: int = PROBE) -> None:
    x = torch.zeros(rows, *network.shape, device=network.device)
    t, y = torch.full((rows,), 0.5, device=x.device), torch.zeros(rows, dtype=torch.int64, device=x.device)
    network(x, t, y).velocity.sum().item()


def _seconds(work: Callable[[], Any]) -> float:
    """The shorter of two; the first warms up."""
    taken = []
    with torch.inference_mode():
        for _ in range(3):
            begun = time.perf_counter()
            work()
            taken.append(time.perf_counter() - begun)
    return min(taken[1:])


def _counted(setting: Setting, runner: Runner, depth: int) -> Ledger | None:
    ledger = Ledger()
    alike = {k: v for k, v in setting.parameters.items() if k != "channels"}  # it has two, and each costs the same
    try:
        method = Setting(setting.method, alike).create()
        net = counting_network(method, depth)
        noise = torch.ones(1, *net.shape)
        sample(net, method, runner.solver, labels=torch.tensor([0]), noise=noise, weak=net, ledger=ledger)
    except UserError:
        return None
    return ledger


def _memory(runner: Runner, network: Backbone, rows: int) -> Finding:
    """Weights, and one forward pass of as many rows as the run would give it; of CUDA's free memory."""
    weights = sum(p.numel() * p.element_size() for p in network.parameters())
    needed = weights + rows * activations(network)
    words = f"about {in_units(needed)} for the network and a pass of {rows} rows, autoencoder and Inception apart"
    if runner.device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(runner.device)
        words += f"; {in_units(free)} free" + ("" if needed < free else "; batch=N takes fewer at a time")
    return Finding("memory", "note", words)


def activations(network: Backbone) -> int:
    """Bytes that one sample's forward pass holds at most: the layers' outputs of its largest block, all at once."""
    held: dict[str, int] = {}

    def note(block: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, given: Any, made: Any) -> None:
            if isinstance(made, Tensor):
                held[block] = held.get(block, 0) + made.numel() * made.element_size()

        return hook

    leaves = [(name, module) for name, module in network.named_modules() if not any(module.children())]
    handles = [leaf.register_forward_hook(note(".".join(name.split(".")[:2]))) for name, leaf in leaves]
    try:
        with torch.inference_mode():
            _forward(network)
    finally:
        for handle in handles:
            handle.remove()
    return max(held.values(), default=0) // PROBE
