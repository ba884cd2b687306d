"""Runs from Python: a benchmark with its line-up, or with methods of one's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..core.environment import pick_device
from ..core.errors import UserError
from ..core.processes import begin
from ..guidance.method import METHODS, Guidance
from .benchmark import BENCHMARKS, ROLES, Benchmark, Setting, select
from .published.own_network import with_network, with_settings
from .records import to_frame
from .runner import Runner
from .workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

Method = str | Guidance | type[Guidance]


def run(
    benchmark: str | Benchmark,
    *,
    method: Method | Sequence[Method] | None = None,
    seeds: int | Sequence[int] | None = None,
    output: str | Path = "outputs",
    records: str | Path | None = None,
    **benchmark_fields: Any,
) -> pd.DataFrame:
    """Train, sample and evaluate; what is in ``output`` already is found there and not made again.

    Args:
        benchmark: name, Python file, or instance.
        method: name, Python file, instance (``CFG(scale=1.5)``), class, or a list of them; None: the line-up.
        seeds: 0..2^64 - 1, one or several; None: the benchmark's own.
        output: the folder of runs, as the command line's.
        records: a folder whose records count as done too; "committed": the project's own results.
        benchmark_fields: of the benchmark, e.g. ``samples=400`` or a published ``row="sit_xl_cfg"``; ``backbone=`` and
            ``weak=`` put networks of your own (file, org/repo:file, URL) into any benchmark; what their files do not
            tell (:func:`guidance_bench.load_backbone`) as ``backbone_config={"num_heads": 6}`` and ``weak_config=``.

    Returns:
        One row a run, as :func:`guidance_bench.load_results`.

    Raises:
        UserError: an unknown name or field, a method that the networks cannot serve, an output that cannot be written.
    """
    chosen = _benchmark(benchmark, benchmark_fields)
    settings = select(chosen.line_up(), chosen.methods) if method is None else _settings(method)
    drawn = chosen.seeds if seeds is None else (seeds,) if isinstance(seeds, int) else tuple(seeds)
    if not drawn or not settings:
        raise UserError("run needs at least one method and one seed")
    for seed in drawn:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**64:
            raise UserError(f"seed={seed!r} is not a whole number in 0..2^64 - 1")
    workspace = Workspace(output, records)
    device = begin(pick_device("auto"))
    torch.set_float32_matmul_precision("highest")
    runner = Runner(chosen, chosen.default_solver(), workspace, device)
    return to_frame(runner.run_all(settings, drawn))


def _benchmark(benchmark: str | Benchmark, fields: dict[str, Any]) -> Benchmark:
    if isinstance(benchmark, Benchmark):
        if fields:
            raise UserError(
                f"give {', '.join(fields)} to {type(benchmark).__name__}(...), or the benchmark by its name"
            )
        return benchmark
    if benchmark.endswith(".py"):
        benchmark = _only(BENCHMARKS.load_file(benchmark), benchmark)
    has = {p.name for p in BENCHMARKS.parameters(benchmark)}
    told = {role: fields.pop(f"{word}_config", {}) for word, role in ROLES.items()}
    settings = {role: config for role, config in told.items() if config}
    own = {key: str(fields.pop(key)) for key in ("backbone", "weak") if key in fields and key not in has}
    made = BENCHMARKS.create(benchmark, **fields)
    if own and "backbone" not in own:
        raise UserError("weak= goes with backbone=: give both networks")
    if not own:
        return with_settings(made, settings)
    return with_network(made, own["backbone"], own.get("weak", ""), settings)


def _settings(method: Method | Sequence[Method]) -> list[Setting]:
    several = list(method) if isinstance(method, Sequence) and not isinstance(method, str) else [method]
    instances = [_instance(one) for one in several]
    return [Setting(one.name, one.parameters()) for one in instances]


def _instance(method: Method) -> Guidance:
    if isinstance(method, str):
        name = _only(METHODS.load_file(method), method) if method.endswith(".py") else method
        return METHODS.create(name)
    cls = method if isinstance(method, type) else type(method)
    if not issubclass(cls, Guidance):
        raise UserError(f"method={method!r} is no guidance method: a name, an instance or a class of Guidance is")
    _enter(cls)
    return cls() if isinstance(method, type) else method


def _enter(cls: type[Guidance]) -> None:
    """Register a class that nobody has registered, under its name in small letters."""
    name = vars(cls).get("name")
    if name not in METHODS.names():
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        METHODS.register(name)(cls)
    if METHODS.entry(name).cls is not cls:
        raise UserError(f"method {name!r} is registered as another class: run the cell that defines it again")


def _only(names: list[str], path: str) -> str:
    if len(names) > 1:
        raise UserError(f"{path!r} registers several: {', '.join(names)}; give one of the classes")
    return names[0]
