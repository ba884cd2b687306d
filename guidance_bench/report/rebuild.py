"""From a record back to what would make it again: benchmark, method, solver and a runner for them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..core.errors import UserError
from ..core.parameters import plain
from ..experiments.benchmark import BENCHMARKS, ROLES, Benchmark, Setting
from ..experiments.published.own_network import with_network, with_settings
from ..experiments.runner import Runner
from ..experiments.workspace import Workspace
from ..guidance.method import METHODS
from ..sampling.solvers import SOLVERS


def rebuild(record: Mapping[str, Any], output: str | Path, device: torch.device) -> tuple[Runner, Setting]:
    """A runner and a setting whose run should be that of the record.

    Args:
        record: a valid one.
        output: the output folder where networks and samples are looked for, and made where they are missing.
        device: where networks run.

    Raises:
        UserError: something of the record is not registered here (a plug-in), or has other parameters now.
    """
    spec = record["spec"]
    benchmark = _benchmark(spec, record["command"])
    solver = SOLVERS.create(spec["solver"]["name"], **spec["solver"]["parameters"])
    method = spec["method"]
    setting = Setting(method["name"], _known(method["name"], method["parameters"]))
    runner = Runner(
        benchmark,
        solver,
        Workspace(output),
        device,
        batch=int(record["samples"].get("batch", spec["block"])),
        precision=spec["precision"],
    )
    return runner, setting


def _benchmark(spec: Mapping[str, Any], command: str) -> Benchmark:
    told = {**spec["benchmark"]["parameters"], **{name: spec[name] for name in ("samples", "block", "labels")}}
    name = spec["benchmark"]["name"]
    fields = {p.name for p in BENCHMARKS.parameters(name)}
    gone = sorted(set(spec["benchmark"]["parameters"]) - fields)
    if gone:
        raise UserError(f"benchmark {name!r} no longer has {', '.join(gone)}")
    places, networks, settings = _places(name, command)
    declared = spec["networks"]["main"].get("name")
    if "backbone" in fields and declared and declared != "own":
        places["backbone"] = declared
    benchmark = BENCHMARKS.create(name, **{k: v for k, v in told.items() if k in fields}, **places)
    if not networks:
        return with_settings(benchmark, settings)
    return with_network(benchmark, networks["backbone"], networks.get("weak", ""), settings)


def _places(name: str, command: str) -> tuple[dict[str, str], dict[str, str], dict[str, dict[str, Any]]]:
    """Where files lay, as the record's command has it: fields of the benchmark, and networks of the user's own; and
    what it tells of the networks' files, by role.

    A file that is another by now is found by its hash, which the specification has.
    """
    known = {str(key) for key in getattr(BENCHMARKS.entry(name).cls, "places", ()) if key != "row"}
    try:
        pairs = [word.partition("=") for word in shlex.split(command)]
    except ValueError:  # a quote that is not closed
        return {}, {}, {}
    values = {key: value.strip("'") for key, _, value in pairs}
    fields = {key: values[f"benchmark.{key}"] for key in known if f"benchmark.{key}" in values}
    own: dict[str, str] = {
        key: values[key] for key in ("backbone", "weak") if key in values and "backbone" not in known
    }
    settings: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        word, dot, setting = key.partition(".")
        if dot and word in ROLES:
            settings.setdefault(ROLES[word], {})[setting] = _value(value)
    return fields, own if "backbone" in own else {}, settings


def _value(text: str) -> Any:
    """A plain value of a command."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _known(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    METHODS.entry(name)
    hashes = [k for k, v in parameters.items() if isinstance(v, str) and v.startswith("sha256:")]
    if hashes:
        raise UserError(f"method {name!r} was given a file as {hashes[0]}, which the record names by its hash alone")
    return dict(parameters)


def differences(here: Any, there: Any, place: str = "") -> list[str]:
    """The places where two plain values differ, as ``a.b: here, record has there``."""
    here, there = plain(here), plain(there)
    if isinstance(here, dict) and isinstance(there, dict):
        found = []
        for key in sorted({*here, *there}):
            found += differences(here.get(key), there.get(key), f"{place}.{key}" if place else str(key))
        return found
    return [] if here == there else [f"{place}: {here!r} here, {there!r} in the record"]
