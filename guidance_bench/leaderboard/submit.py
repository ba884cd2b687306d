"""Records of an output folder into the project's results, with tables and figures beside them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..core.errors import UserError
from ..experiments.records import committed_results, read_records, write_record
from .publish import write_leaderboard


def portable(record: dict[str, Any]) -> dict[str, Any]:
    """The record without the folder that its command wrote to: it means nothing on another machine."""
    return {**record, "command": re.sub(r" output=\S+", "", record["command"])}


def submit(output: Path, benchmark: str, results: Path | None = None) -> Path:
    """Take the records of a benchmark into ``results/<benchmark>``; returns that folder.

    The sample grids can only be drawn here, where the samples are; tables and the other figures can be made again from
    the records alone.

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
        write_record(folder / "records" / f"{record['run_id']}.json", portable(record))
    write_leaderboard(records, folder, stores=output)
    (folder / "leaderboard.html").unlink()  # repeats the figures; ``guidance-bench leaderboard`` makes it
    return folder
