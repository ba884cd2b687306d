"""``guidance-bench list``: the text made by :mod:`.listing`, kept until something that it lists changes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from ... import __path__ as roots
from ... import __version__
from ...core.console import width
from ...core.errors import UserError, did_you_mean
from ...storage.files import write_text
from ...storage.hub import cache_folder
from ..options import wants_help

HELP = """\
guidance-bench list [backbones|methods|solvers|benchmarks|metrics|recipes
                      |sources ...]

What there is, with parameters, counted cost, paper, and where a plug-in comes
from. BibTeX of a method's paper: guidance-bench cite METHOD"""

KINDS = ("backbones", "methods", "solvers", "benchmarks", "metrics", "recipes", "sources")


def command(arguments: Sequence[str]) -> int:
    """Print the lists asked for."""
    if arguments and wants_help(arguments):
        print(HELP)
        return 0
    for kind in arguments:
        if kind not in KINDS:
            raise UserError(f"cannot list {kind!r} (known: {', '.join(KINDS)}){did_you_mean(kind, KINDS)}")
    kept = cache_folder() / "lists" / f"{_state(arguments)}.txt"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        print(kept.read_text(encoding="utf-8"))
        return 0
    text = import_module("..listing", __name__).listing(arguments)  # torch, and all plug-ins
    with contextlib.suppress(OSError, UserError):  # what cannot be kept is made again
        write_text(kept, text)
    print(text)
    return 0


def _state(kinds: Sequence[str]) -> str:
    """Names everything that the text depends on: our files, the plug-ins' files, versions, width."""
    facts = [__version__, sys.version, str(width()), *kinds]
    facts += [f"{path} {_stamp(path)}" for root in roots for path in _sources(Path(root))]
    for kind in KINDS:
        for point in sorted(entry_points(group=f"guidance_bench.{kind}"), key=str):
            facts += [str(point), str(point.dist.version if point.dist else ""), *_plugin_files(point.module)]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:24]


def _sources(root: Path) -> Iterator[Path]:
    """Python files of the engine and the content folders, whether inside it or beside it in a bare clone."""
    for part in (".", "methods", "backbones", "benchmarks"):
        folder = root / part
        for place, folders, files in os.walk(folder) if part != "." or (root / "core").is_dir() else ():
            folders[:] = sorted(f for f in folders if f not in ("results", "__pycache__"))
            yield from (Path(place) / file for file in sorted(files) if file.endswith(".py"))


def _plugin_files(module: str) -> list[str]:
    """The files of a plug-in's top package, found without running any of it."""
    top = module.partition(".")[0]
    found = [place for entry in sys.path for place in (Path(entry) / top, Path(entry) / f"{top}.py") if place.exists()]
    files = [f for place in found[:1] for f in (sorted(place.rglob("*.py")) if place.is_dir() else [place])]
    return [f"{file} {_stamp(file)}" for file in files]


def _stamp(path: Path) -> str:
    status = path.stat()
    return f"{status.st_mtime_ns} {status.st_size}"
