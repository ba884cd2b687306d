"""``guidance-bench clean``: what of an output folder can go; asks, then deletes."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ...core.console import say
from ...core.errors import UserError
from ..options import split_options, truth, wants_help

HELP = """\
guidance-bench clean OUTPUT [what=old,temporary] [yes=true]

Lists what can go from an output folder, asks, and deletes it.

  what=old         runs of a plug-in method whose code has changed since
       temporary   files that a killed command left half written
       unfinished  runs without a record; their samples are lost
       samples     samples of finished runs; the same command makes them again
  yes=true         delete without asking; without it and without a terminal,
                   the list alone"""

KINDS = ("old", "temporary", "unfinished", "samples")


def command(arguments: Sequence[str]) -> int:
    """List, ask, delete; returns the exit status.

    Raises:
        UserError: no such folder, an unknown kind, or something that cannot be deleted.
    """
    if wants_help(arguments):
        print(HELP)
        return 0 if arguments else 2
    folders, options = split_options(arguments, {"what": "old,temporary", "yes": "false"})
    if len(folders) != 1 or not Path(folders[0]).is_dir():
        raise UserError("clean takes one output folder that is there: guidance-bench clean outputs")
    sure = truth("yes", options["yes"])
    kinds = [kind.strip() for kind in options["what"].split(",")]
    for kind in kinds:
        if kind not in KINDS:
            raise UserError(f"what={kind!r} is not known (known: {', '.join(KINDS)})")
    output = Path(folders[0])
    found = {path: kind for kind in kinds for path in _FIND[kind](output)}
    if not found:
        say("nothing to clean")
        return 0
    sizes = {path: _size(path) for path in found}
    for path, kind in found.items():
        say(f"{kind:<11}{_megabytes(sizes[path])}  {path}{_words(path)}")
    say(f"{len(found)} to delete, {_megabytes(sum(sizes.values())).strip()}")
    if sure or _agreed():
        _delete(output, found)
    return 0


def _agreed() -> bool:
    if not sys.stdin.isatty():
        say("nothing deleted: add yes=true")
        return False
    return input("delete? [y/N] ").strip().lower() in ("y", "yes")


def _delete(output: Path, found: dict[Path, str]) -> None:
    from ...experiments.workspace import Workspace

    workspace = Workspace(output)
    for path, kind in found.items():
        run = path.parent if kind == "samples" else path
        try:
            if path.is_file():
                path.unlink()
            elif workspace.busy(run.name):
                say(f"left: another process works on {run.name}")
            else:
                shutil.rmtree(path)
        except OSError as error:
            raise UserError(f"{str(path)!r} cannot be deleted: {error.strerror}") from error


def _old(output: Path) -> Iterator[Path]:
    from ...experiments.records import read_records
    from ...experiments.selection import superseded

    return (output / run_id for run_id in sorted(superseded(read_records(output))) if (output / run_id).is_dir())


def _temporary(output: Path) -> Iterator[Path]:
    return iter(sorted(output.rglob(".*.tmp")))


def _unfinished(output: Path) -> Iterator[Path]:
    from ...experiments.selection import unfinished

    return iter(unfinished(output))


def _samples(output: Path) -> Iterator[Path]:
    return (path for path in sorted(output.glob("*/samples")) if (path.parent / "record.json").exists())


_FIND: dict[str, Callable[[Path], Iterator[Path]]] = {
    "old": _old,
    "temporary": _temporary,
    "unfinished": _unfinished,
    "samples": _samples,
}


def _words(path: Path) -> str:
    """What a run was, from its record."""
    from ...experiments.records import read_record

    record = path / "record.json"
    if not record.is_file():
        return ""
    spec = read_record(record)["spec"]
    return f"  {spec['method']['name']}, seed {spec['seed']}"


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:8.1f} MB"
