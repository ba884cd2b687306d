"""``guidance-bench list``: the text made by :mod:`.listing`, kept until something that it lists changes."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from ... import __version__
from ...core.console import width
from ...core.errors import UserError, did_you_mean
from ...core.identity import sha256_of_value
from ...leaderboard.registered.state import kept_file, state
from ...storage.files import read_sealed, write_sealed
from ..options import wants_help

HELP = """\
guidance-bench list [backbones|methods|solvers|benchmarks|metrics|recipes
                      |sources|rows ...]

What there is, with parameters, counted cost, paper, and where a plug-in comes
from; rows: what papers printed, each to be repeated by one command. BibTeX of a
method's paper: guidance-bench cite METHOD"""

KINDS = ("backbones", "methods", "solvers", "benchmarks", "metrics", "recipes", "sources", "rows")
#: Of a kept list.
KEYS = ("state", "text")


def command(arguments: Sequence[str]) -> int:
    """Print the lists asked for."""
    if arguments and wants_help(arguments):
        print(HELP)
        return 0
    for kind in arguments:
        if kind not in KINDS:
            raise UserError(f"cannot list {kind!r} (known: {', '.join(KINDS)}){did_you_mean(kind, KINDS)}")
    kept, now = kept_file("list", width(), *arguments), _state()
    with contextlib.suppress(UserError):  # none yet, or a damaged one
        value = read_sealed(kept, KEYS)
        if value["state"] == now:
            print(value["text"])
            return 0
    text = import_module("..listing", __name__).listing(arguments)  # torch, and all plug-ins
    with contextlib.suppress(UserError):  # what cannot be kept is made again
        write_sealed(kept, {"state": now, "text": text})
    print(text)
    return 0


def _state() -> str:
    """Names everything that the text depends on: our files, the plug-ins' files, versions."""
    groups = [f"guidance_bench.{kind}" for kind in KINDS]
    installed = entry_points()
    points = [point for group in groups for point in installed.select(group=group)]
    return sha256_of_value([__version__, state(groups), [_plugin_files(point.module) for point in points]])


def _plugin_files(module: str) -> list[str]:
    """The files of a plug-in's top package, found without running any of it."""
    top = module.partition(".")[0]
    found = [place for entry in sys.path for place in (Path(entry) / top, Path(entry) / f"{top}.py") if place.exists()]
    files = [f for place in found[:1] for f in (sorted(place.rglob("*.py")) if place.is_dir() else [place])]
    return [f"{file} {_stamp(file)}" for file in files]


def _stamp(path: Path) -> str:
    status = path.stat()
    return f"{status.st_mtime_ns} {status.st_size}"
