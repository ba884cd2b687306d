"""The command that makes one run again, whatever line-up or sweep it came from."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.parameters import plain
from ..core.registry import Registry
from ..guidance.method import METHODS, Guidance
from ..sampling.solvers import SOLVERS, Solver
from .benchmark import BENCHMARKS, ROLES, Benchmark

#: What Hydra takes for a string without quotes, and for nothing else.
PLAIN = re.compile(r"[A-Za-z_][\w./-]*")


def command_of(benchmark: Benchmark, method: Guidance, solver: Solver, seed: int, **options: Any) -> str:
    """``guidance-bench run ...`` with what is not the default; without the folder, which is each machine's own.

    Args:
        benchmark: of the run.
        method: with its parameters.
        solver: of the run.
        seed: of the run.
        options: further options of ``run``; None and False are left out.

    A method of a notebook has no file that a command could name: the text is then the call of
    :func:`guidance_bench.run`, to be typed where its class is.
    """
    if METHODS.entry(method.name).text is not None:
        values = ", ".join(f"{name}={value!r}" for name, value in method.parameters().items())
        cls = METHODS.entry(method.name).cls.__name__
        return f"gb.run({benchmark.name!r}, method={cls}({values}), seeds={seed})"
    words = _words(BENCHMARKS, "benchmark", benchmark, free=benchmark.free)
    words += _words(METHODS, "method", method)
    if (solver.name, solver.parameters()) != _named(benchmark.default_solver()):
        words += _words(SOLVERS, "solver", solver)
    roles = {role: word for word, role in ROLES.items()}
    words += [f"{roles[role]}={_typed(source)}" for role, source in benchmark.own_networks.items()]
    told = [(roles[role], *pair) for role, settings in benchmark.network_settings.items() for pair in settings.items()]
    words += [f"{word}.{name}={_typed(value)}" for word, name, value in told]
    words.append(f"seed={seed}")
    words += [f"{name}={_typed(value)}" for name, value in options.items() if value not in (None, False)]
    return shlex.join(["guidance-bench", "run", *words])


def _named(solver: Solver) -> tuple[str, dict[str, Any]]:
    return solver.name, solver.parameters()


def _words(registry: Registry[Any], group: str, thing: Any, free: tuple[str, ...] = ()) -> list[str]:
    entry = registry.entry(thing.name)
    name = thing.name
    if entry.source == "file":
        alone = sum(registry.entry(other).file == entry.file for other in registry.names()) == 1
        name = _short(entry.file) if alone else f"{_short(entry.file)}:{name}"
    defaults = {p.name: plain(p.default) for p in registry.parameters(thing.name)}
    own: Mapping[str, Any] = {k: v for k, v in thing.parameters().items() if k not in free}
    said = [f"{group}.{k}={_typed(v)}" for k, v in own.items() if v != defaults[k]]
    return [f"{group}={name}", *said]


def _short(file: str) -> str:
    """Relative where the file lies below the current folder."""
    relative = os.path.relpath(Path(file), Path.cwd())
    return file if relative.startswith("..") else relative


def _typed(value: Any) -> str:
    """A value as Hydra reads it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_typed, value))}]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return value if PLAIN.fullmatch(value) and value not in ("null", "true", "false") else f"'{escaped}'"
    return str(value)
