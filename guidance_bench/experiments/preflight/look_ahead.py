"""Whether a job would start, and what it would take, before it takes anything."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...core.errors import UserError
from ...evaluation.reference import SUFFIXES
from ...metrics.base import METRICS, Metric
from ...networks.backbone import Backbone
from ...sampling.dry_run import check_method
from ...storage.files import check_writable
from ...storage.npz import npz_keys
from ...training.for_benchmarks import untrained
from ..benchmark import Setting
from ..runner import Runner, title
from .cost import cost
from .findings import Finding, in_units

#: Bytes of a sample's features, in float32: Inception's pooled, spatial and logits.
FEATURES = 4 * (2048 + 2023 + 1008)


def look_ahead(runner: Runner, settings: Sequence[Setting], seeds: Sequence[int]) -> list[Finding]:
    """Everything that can be verified of a job; nothing is trained, downloaded or written.

    Args:
        runner: as ``run`` would have it.
        settings: of the job.
        seeds: of its runs.
    """
    files = list(_files(runner))
    if any(f.state != "ok" for f in files):
        return [
            *files,
            *_room(runner),
            Finding("runs", "note", f"{len(settings) * len(seeds)}; named once the files are there"),
        ]
    try:
        specs = [(setting, runner.specify(setting, seed)) for seed in seeds for setting in settings]
    except UserError as error:
        return [*files, Finding("protocol", "wrong", str(error))]
    findings = [*files, *_runs(runner, specs), *_reference(runner)]
    network, weak, why = _networks(runner, seeds[0])
    findings += why
    todo = [setting for setting, spec in specs if not runner.workspace.has(spec.run_id)]
    if network is not None:
        findings += _methods(runner, settings, network, weak)
        if todo and all(f.state in ("ok", "note") for f in findings):
            findings += cost(runner, todo, seeds, network, weak)
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


def _room(runner: Runner) -> Iterator[Finding]:
    """Whether what is to be downloaded fits where it belongs."""
    missing = [file for _, file in runner.benchmark.wanted() if not file.here and file.bytes]
    if missing:
        place = next(p for p in missing[0].path.absolute().parents if p.exists())
        needed, free = sum(file.bytes for file in missing), shutil.disk_usage(place).free
        words = f"{in_units(needed)} to be downloaded, {in_units(free)} free in {str(place)!r}"
        yield Finding("disk", "note" if needed < free else "wrong", words)


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
