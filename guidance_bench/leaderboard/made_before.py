"""A board whose inputs have not changed, and whose files are as they were written, is not drawn a second time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..core.environment import version_of
from ..core.errors import UserError
from ..core.identity import sha256_of_value
from ..storage.files import read_sealed, sha256_of, write_sealed
from .comparison.strengths import Trajectory
from .figures.grid_classes import classes_of
from .figures.sample_grids import StoredSamples
from .registered.look_up import registered
from .registered.state import own_sources

NAME = ".made.json"
KEYS = ("files", "inputs")
#: What draws and writes besides our own code.
PACKAGES = ("adjustText", "jinja2", "matplotlib", "numpy", "pandas", "pillow", "scipy")


def made_before(folder: Path, inputs: str) -> dict[str, Path] | None:
    """Every file of the board in a folder, if it was made of these inputs and no file was changed or deleted since.

    Args:
        folder: of the board.
        inputs: :func:`inputs_of`.
    """
    try:
        kept = read_sealed(folder / NAME, KEYS)
        same = kept["inputs"] == inputs and all(sha256_of(folder / k) == v for k, v in kept["files"].items())
    except (UserError, OSError):
        return None
    return {name: folder / name for name in kept["files"]} if same else None


def remember(folder: Path, inputs: str, files: Mapping[str, Path]) -> None:
    """Note what the files of a board were made of; to be called when all of them are written."""
    hashes = {name: sha256_of(path) for name, path in files.items()}
    write_sealed(folder / NAME, {"files": hashes, "inputs": inputs})


def inputs_of(
    records: Sequence[Mapping[str, Any]],
    tunings: Sequence[Mapping[str, Any]],
    strengths: Mapping[str, Trajectory],
    samples: StoredSamples | None,
    **options: Any,
) -> str:
    """A hash of all that a board is made of: records, what lies beside them, the code and the libraries.

    Args:
        records: of its runs, in any order.
        tunings: records of searches.
        strengths: by run.
        samples: those that grids are made of.
        options: how it is written.
    """
    states = {} if samples is None else samples.states()
    drawn = {r["spec"]["benchmark"]["name"]: r["spec"] for r in records if r["run_id"] in states}
    named = {
        "method": {record["spec"]["method"]["name"] for record in records},
        "metric": {name for record in records for name in record["spec"]["metrics"]},
        "benchmark": {record["spec"]["benchmark"]["name"] for record in records},
    }
    return sha256_of_value(
        {
            "records": sorted(record["sha256"] for record in records),
            "tunings": [tuning["sha256"] for tuning in tunings],
            "strengths": {run: asdict(strength) for run, strength in strengths.items()},
            "samples": states,
            "classes": {name: _classes(spec) for name, spec in drawn.items()},
            "registered": {kind: _code(kind, names) for kind, names in named.items()},
            "ours": own_sources(),
            "packages": {name: version_of(name) for name in PACKAGES},
            "options": options,
        }
    )


def _classes(spec: Mapping[str, Any]) -> list[Any]:
    """What sample grids tell of a benchmark and, where its data are at hand, show of them."""
    facts = {key: spec[key] for key in ("samples", "block", "seed")}
    shown = classes_of(spec["benchmark"]["name"], spec["labels"], **facts)
    return [shown.heads, None if shown.real is None else hashlib.sha256(shown.real.tobytes()).hexdigest()]


def _code(kind: str, names: set[str]) -> dict[str, Any]:
    """What is registered here under these names; ours has its sources hashed besides."""
    known = registered().code[kind]
    return {name: known[name] for name in sorted(names) if name in known}
