"""The strength of runs in units of CFG, measured on their own networks and kept beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ..core.identity import canonical, short_hash
from ..core.randomness import initial_noise, label_sequence
from ..experiments.benchmark import Networks
from ..experiments.records import to_frame
from ..leaderboard.comparison.equal_cfg import with_equal_cfg
from ..leaderboard.comparison.strengths import KEYS, read_strengths, strength_file
from ..leaderboard.figures.style import Figure, save, style
from ..leaderboard.figures.trajectory import trajectory_figure
from ..leaderboard.protocol_tables import tables
from ..storage.files import read_sealed, write_sealed
from .equivalent_cfg import cfg_equivalent_strength
from .rebuild import rebuild


def strengths(
    records: Iterable[Mapping[str, Any]], output: Path, device: torch.device, samples: int = 64
) -> Iterator[tuple[Mapping[str, Any], float]]:
    """Each record with its mean w_e, those on the same networks after each other; what was measured before on as many
    samples is read.

    Args:
        records: valid ones.
        output: the output folder with the networks, where ``strength/<run_id>.json`` goes.
        device: where networks run.
        samples: the first so many of each run.

    Raises:
        UserError: as :func:`guidance_bench.report.rebuild.rebuild`; a network without a null label.
    """
    kept: dict[str, Networks] = {}
    for record in sorted(records, key=lambda record: canonical(record["spec"]["networks"])):
        path = strength_file(output, record["run_id"])
        if path.is_file():
            known = read_sealed(path, KEYS)
            if known["samples"] == samples:
                yield record, known["mean"]
                continue
        runner, setting = rebuild(record, output, device)
        seed = record["spec"]["seed"]
        key = short_hash([runner.benchmark.recipes(seed), runner.precision])
        if key not in kept:
            kept = {key: runner.networks(seed)}  # no more than one pair at a time is in memory
        made = kept[key]
        method, _ = runner.prepare(setting.create(), made, seed)
        count = min(samples, runner.benchmark.samples)
        labels = label_sequence(runner.benchmark.labels, runner.benchmark.samples, runner.benchmark.num_classes, seed)
        noise = initial_noise(seed, range(count), made.main.shape)
        rest = {"labels": labels[:count], "noise": noise, "weak": made.weak, "seed": seed}
        found = cfg_equivalent_strength(made.main, method, runner.solver, **rest)
        write_sealed(path, {"run_id": record["run_id"], "samples": samples, **found.as_dict()})
        yield record, found.mean


def draw_trajectories(records: Sequence[Mapping[str, Any]], output: Path) -> list[Figure]:
    """Draw w_e and the update over t of each method's best setting among the records, a figure for each protocol.

    Args:
        records: measured ones.
        output: the folder of :func:`strengths`.
    """
    found, kept = tables(to_frame(records)), read_strengths(output)
    written = []
    for protocol, table in found.items():
        with style():
            figure = trajectory_figure(with_equal_cfg(table, kept))
            if figure is not None:
                stem = output / "strength" / ("trajectory" if len(found) == 1 else f"trajectory-{protocol}")
                written.append(save(figure, stem, f"{table.title}: w_e and size of the update over t"))
    return written
