"""Records of an output folder into the project's results, with tables and figures beside them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..core.console import say
from ..core.errors import UserError
from ..experiments.evidence import read_witness, witness_path
from ..experiments.records import committed_results, read_record, read_records, seal, write_record
from ..experiments.tuning.tunings import read_tunings
from ..storage.files import read_json, write_json
from ..storage.image_files import write_sheet
from .collection import write_collection
from .comparison.strengths import read_strengths
from .figures.sample_grids import StoredSamples
from .previews import Previews
from .publish import write_leaderboard


def portable(record: dict[str, Any]) -> dict[str, Any]:
    """The record without the folder that its command wrote to: it means nothing on another machine."""
    return {**record, "command": re.sub(r" output=\S+", "", record["command"])}


def _keep(folder: Path, record: dict[str, Any]) -> None:
    """Put a record into the folder as ``<run_id>.json``, its reproductions beside it as ``<run_id>-<sha256>.json``.

    Of a run made more than once the latest record has the plain name: it is the one that counts in tables.
    """
    run_id = record["run_id"]
    known = {one["sha256"]: one for one in map(read_record, folder.glob(f"{run_id}*.json"))}
    if record["sha256"] in known:
        say(f"{run_id}: already there")
        return
    if known:
        machine = record["environment"].get("device", "unknown")
        say(f"{run_id}: made again ({machine}, {record['time']}), kept beside {len(known)} before")
    *others, latest = sorted([*known.values(), record], key=lambda one: (one["time"], one["sha256"]))
    for other in others:
        write_record(folder / f"{run_id}-{other['sha256'][:8]}.json", other)
    write_record(folder / f"{run_id}.json", latest)


def _keep_witness(output: Path, folder: Path, record: dict[str, Any]) -> None:
    """Put the first samples of a record, where they are there, into ``witnesses``."""
    if record["samples"].get("witness"):
        source = witness_path(record, output / record["run_id"] / "record.json")
        if source.is_file():
            write_sheet(witness_path(record, folder / "records" / "of.json"), read_witness(record, source))


def submit(output: Path, benchmark: str, results: Path | None = None) -> Path:
    """Take the records of a benchmark into ``results/<benchmark>``; returns that folder.

    Records that are there already stay, also those of the same run, and stand in the tables too: a study may be made
    over many days and machines, each taking up what is still missing (``run ... records=committed``). Of the samples
    the few that the grids show are kept beside the records.

    Args:
        output: output folder of ``guidance-bench run``.
        benchmark: registered name.
        results: None: the project's own.

    Raises:
        UserError: no record of this benchmark there, or the folder cannot be written.
    """
    folder = (results or committed_results()) / benchmark
    records = [r for r in read_records(output) if r["spec"]["benchmark"]["name"] == benchmark]
    if not records:
        raise UserError(f"{str(output)!r} holds no records of benchmark {benchmark!r}")
    for record in records:
        _keep_witness(output, folder, record)
        _keep(folder / "records", seal(portable(record)))
    _take_beside(output, folder, benchmark, {record["run_id"] for record in records})
    samples = Previews(folder / "previews", StoredSamples(output, records))
    redraw(folder, samples)
    samples.drop_others()
    write_collection(folder.parent)
    return folder


def redraw(folder: Path, samples: Previews | None = None) -> None:
    """Make tables, figures and sample grids of a folder of results again from what lies there; figures that the records
    no longer fill go.

    Raises:
        UserError: no records there, or the folder cannot be written.
    """
    kept = samples or Previews(folder / "previews", {})
    beside: dict[str, Any] = {"tunings": read_tunings(folder), "strengths": read_strengths(folder)}
    written = write_leaderboard(read_records(folder), folder, samples=kept, page=False, **beside)
    for file in {*(folder / "figures").glob("*.*")} - {*written.values()}:
        file.unlink()


def _take_beside(output: Path, folder: Path, benchmark: str, runs: set[str]) -> None:
    """Records of searches, and strengths of the runs."""
    for path in (output / "tuning").glob("*.json"):
        if read_json(path).get("benchmark") == benchmark:
            write_json(folder / "tuning" / path.name, read_json(path))
    for path in (output / "strength").glob("*.json"):
        if path.stem in runs:
            write_json(folder / "strength" / path.name, read_json(path))
