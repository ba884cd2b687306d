"""What ``guidance-bench strength`` measured of runs, as it lies beside them: w_e and the size of the update over t."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...core.errors import UserError
from ...storage.files import read_sealed

#: What a file of it holds.
KEYS = ("run_id", "samples", "t", "w_e", "sd", "update", "update_sd", "mean")


@dataclass(frozen=True)
class Trajectory:
    """A run, or the mean of several, over its evaluations.

    Attributes:
        times: t of each, falling from 1 (noise).
        w_e: strength in units of CFG.
        update: |v_method - v_null| / |v_null|.
        mean: of w_e over all evaluations.
    """

    times: tuple[float, ...]
    w_e: tuple[float, ...]
    update: tuple[float, ...]
    mean: float


def strength_file(output: Path, run_id: str) -> Path:
    """Where the strength of a run is kept."""
    return output / "strength" / f"{run_id}.json"


def read_strengths(folder: Path) -> dict[str, Trajectory]:
    """By run, all that were measured below a folder.

    Raises:
        UserError: a file that holds no strength.
    """
    return {path.stem: _read(path) for path in sorted(folder.rglob("strength/*.json"))}


def _read(path: Path) -> Trajectory:
    try:
        value = read_sealed(path, KEYS)
        rows: list[tuple[float, ...]] = [tuple(map(float, value[name])) for name in ("t", "w_e", "update")]
        mean = float(value["mean"])
    except (UserError, TypeError, ValueError):
        rows, mean = [], math.nan
    if not rows or not {len(row) for row in rows} == {len(rows[0])} or not np.isfinite([mean, *sum(rows, ())]).all():
        raise UserError(f"{str(path)!r} holds no strength: delete it and measure again")
    times, w_e, update = rows
    return Trajectory(times, w_e, update, mean)


def mean_trajectory(runs: Sequence[Trajectory]) -> Trajectory:
    """The mean of runs of one solver; of several evaluations at one time their mean.

    Runs that were not evaluated at the same times (an adaptive solver) are read off at those of the first.
    """
    first = [_by_time(run) for run in runs]
    times = first[0][0]
    columns = [[np.interp(times, own[0], own[place]) for own in first] for place in (1, 2)]
    w_e, update = (np.mean(column, axis=0) for column in columns)
    return Trajectory(
        tuple(times[::-1].tolist()),
        tuple(w_e[::-1].tolist()),
        tuple(update[::-1].tolist()),
        float(np.mean([run.mean for run in runs])),
    )


def _by_time(run: Trajectory) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times rising, each once, with both values."""
    times, places = np.unique(run.times, return_inverse=True)
    counts = np.bincount(places)
    w_e, update = (np.bincount(places, weights=values) / counts for values in (run.w_e, run.update))
    return times, w_e, update
