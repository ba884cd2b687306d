"""Whether a job would start, and what it would take, before it takes anything."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from ...core.console import duration
from ...core.environment import peak_memory
from ...core.errors import UserError
from ...evaluation.reference import SUFFIXES
from ...metrics.base import METRICS, Metric
from ...networks.backbone import BACKBONES, Backbone
from ...sampling.dry_run import check_method
from ...sampling.ledger import Ledger
from ...sampling.sampler import sample
from ...storage.files import check_writable
from ...storage.npz import npz_keys
from ...training.loop import untrained
from ..benchmark import Setting
from ..runner import Runner, title
from .findings import Finding, in_units

#: Bytes of a sample's features, in float32: Inception's pooled, spatial and logits.
FEATURES = 4 * (2048 + 2023 + 1008)
#: Samples in the probe's forward pass.
PROBE = 2


def look_ahead(runner: Runner, settings: Sequence[Setting], seeds: Sequence[int]) -> list[Finding]:
    """Everything that can be verified of a job; nothing is trained, downloaded or written.

    Args:
        runner: as ``run`` would have it.
        settings: of the job.
        seeds: of its runs.
    """
    files = list(_files(runner))
    if any(f.state != "ok" for f in files):
        return [*files, Finding("runs", "note", f"{len(settings) * len(seeds)}; named once the files are there")]
    try:
        specs = [(setting, runner.specify(setting, seed)) for seed in seeds for setting in settings]
    except UserError as error:
        return [*files, Finding("hashes", "wrong", str(error))]
    findings = [*files, *_runs(runner, specs), *_reference(runner)]
    network, weak, why = _networks(runner, seeds[0])
    findings += why
    todo = [setting for setting, spec in specs if not runner.workspace.has(spec.run_id)]
    if network is not None:
        findings += _methods(runner, settings, network, weak)
        if todo and all(f.state in ("ok", "note") for f in findings):
            findings += _cost(runner, todo, network)
    return [*findings, *_disk(runner, len(todo))]


def _files(runner: Runner) -> Iterator[Finding]:
    for purpose, wanted in runner.benchmark.wanted():
        size = f", {in_units(wanted.bytes)}" if wanted.bytes else ""
        if wanted.here:
            yield Finding("file", "ok", f"{purpose}: {str(wanted.path)!r}")
        elif not wanted.address:
            yield Finding("file", "missing", f"{purpose}: {wanted.source}")
        else:
            named = wanted.path.suffix or wanted.path.is_file()
            name = wanted.path.name if named else "a file of its folder"
            way = "" if named else "; its name is not known: choose one, and put it there alone or give checkpoint=FILE"
            place = wanted.path.parent if named else wanted.path
            yield Finding(
                "file", "missing", f"{purpose}: {name}{size}, {wanted.address}, to be put into {str(place)!r}{way}"
            )


def _runs(runner: Runner, specs: Sequence[tuple[Setting, Any]]) -> Iterator[Finding]:
    for setting, spec in specs:
        done = "done already" if runner.workspace.has(spec.run_id) else "to do"
        yield Finding("run", "ok", f"{spec.run_id}  {title(setting)}, seed {spec.seed}: {done}")


def _reference(runner: Runner) -> Iterator[Finding]:
    """Whether a statistics file holds what the metrics ask of it."""
    file = runner.benchmark.reference_path()
    if file is None:
        return
    if file.suffix != ".npz":
        yield Finding("reference", "ok", f"images in {str(file)!r}")
        return
    keys = npz_keys(file)
    lacking = {name: lacks for name in runner.benchmark.metrics if (lacks := _lacking(METRICS.create(name), keys))}
    if lacking:
        words = "; ".join(f"{name} needs {' and '.join(lacks)}" for name, lacks in lacking.items())
        yield Finding("reference", "wrong", f"{str(file)!r} has {', '.join(keys)}: {words}")
    else:
        yield Finding("reference", "ok", f"has {', '.join(keys)}")


def _lacking(metric: Metric, keys: Sequence[str]) -> list[str]:
    """Keys of a statistics file that a metric asks for in vain."""
    if metric.against == "nothing":
        return []
    if "mu" not in keys or metric.against == "features":
        return [] if {"features", "arr_0"} & set(keys) else ["arr_0"]
    suffixes = [SUFFIXES.get(need, f"_{need}") for need in metric.needs]
    return [key for suffix in suffixes for key in (f"mu{suffix}", f"sigma{suffix}") if key not in keys]


def _networks(runner: Runner, seed: int) -> tuple[Backbone | None, Backbone | None, list[Finding]]:
    """The networks: loaded where they are checkpoints, else as they are before training."""
    recipes = runner.benchmark.recipes(seed)
    try:
        if all("config" in recipe for recipe in recipes.values()):
            made = {name: untrained(recipe).to(runner.device).eval() for name, recipe in recipes.items()}
            main, weak = made["main"], made.get("weak")
        else:
            loaded = runner.benchmark.networks(seed, runner.workspace.models, runner.device)
            main, weak = loaded.main, loaded.weak
    except UserError as error:
        return None, None, [Finding("network", "wrong", str(error))]
    count = sum(p.numel() for p in main.parameters())
    return main, weak, [Finding("network", "ok", f"{count / 1e6:.1f}M parameters, {in_units(4 * count)}")]


def _methods(
    runner: Runner, settings: Sequence[Setting], network: Backbone, weak: Backbone | None
) -> Iterator[Finding]:
    for setting in settings:
        try:
            check_method(setting.create(), network, weak, runner.solver)
        except UserError as error:
            yield Finding("method", "wrong", str(error))
        else:
            yield Finding("method", "ok", f"{title(setting)}: the networks can answer it")


def _cost(runner: Runner, todo: Sequence[Setting], network: Backbone) -> Iterator[Finding]:
    """Evaluations counted on the toy mixture, seconds and memory of one forward pass of the real network."""
    seconds = _probe(network, runner.device)
    memory = peak_memory(runner.device)
    total = 0.0
    for setting in todo:
        evaluations = _evaluations(setting, runner, network.depth)
        if evaluations is None:
            yield Finding("evaluations", "note", f"{title(setting)}: not known beforehand")
            continue
        total += evaluations
        yield Finding("evaluations", "ok", f"{title(setting)}: {evaluations:g} of the main network a sample")
    left = total * runner.benchmark.samples * seconds
    yield Finding("time", "note", f"about {duration(left)} of sampling on one such device, {seconds:.2g} s a forward")
    yield Finding("memory", "note", f"{in_units(memory)} at its peak in the probe of {PROBE} samples a pass")


def _probe(network: Backbone, device: torch.device) -> float:
    """Seconds of a sample's forward pass, the shorter of two; the first warms up."""
    x = torch.zeros(PROBE, *network.shape, device=device)
    t, y = torch.full((PROBE,), 0.5, device=device), torch.zeros(PROBE, dtype=torch.int64, device=device)
    taken = []
    with torch.inference_mode():
        for _ in range(3):
            begun = time.perf_counter()
            network(x, t, y).velocity.sum().item()
            taken.append(time.perf_counter() - begun)
    return min(taken[1:]) / PROBE


def _evaluations(setting: Setting, runner: Runner, depth: int) -> float | None:
    toy = BACKBONES.create("toy", depth=depth).build()
    ledger, noise = Ledger(), torch.ones(1, 2, 1, 1)
    alike = {k: v for k, v in setting.parameters.items() if k != "channels"}  # the toy has two, and each costs the same
    try:
        sample(
            toy,
            Setting(setting.method, alike).create(),
            runner.solver,
            labels=torch.tensor([0]),
            noise=noise,
            weak=toy,
            ledger=ledger,
        )
    except UserError:
        return None
    return ledger.main


def _disk(runner: Runner, runs: int) -> Iterator[Finding]:
    folder = runner.workspace.folder
    try:
        check_writable(folder / "record.json")
    except UserError as error:
        yield Finding("disk", "wrong", str(error))
        return
    place = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    free = shutil.disk_usage(place).free
    needed = runs * runner.benchmark.samples * (runner.benchmark.image_bytes() + FEATURES)
    words = f"{in_units(needed)} for samples and features, {in_units(free)} free in {str(Path(place))!r}"
    yield Finding("disk", "ok" if needed < free else "wrong", words)
