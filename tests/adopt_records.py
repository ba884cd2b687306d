"""Take a study's records and figures into the project: ``python tests/adopt_records.py OUTPUT BENCHMARK``.

OUTPUT is the output folder of ``guidance-bench run benchmark=BENCHMARK``. The sample grids can only be drawn here,
where the samples are; tables and the other figures can be made again from the records alone.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from guidance_bench.leaderboard import write_leaderboard
from guidance_bench.results import read_records, write_record


def portable(record: dict[str, Any]) -> dict[str, Any]:
    """The record without the folder that its command wrote to: it means nothing on another machine."""
    return {**record, "command": re.sub(r" output=\S+", "", record["command"])}


def adopt(output: Path, benchmark: str) -> Path:
    folder = Path(__file__).parent.parent / "benchmarks" / "results" / benchmark
    records = [r for r in read_records(output) if r["spec"]["benchmark"]["name"] == benchmark]
    for record in records:
        write_record(folder / "records" / f"{record['run_id']}.json", portable(record))
    write_leaderboard(records, folder, stores=output)
    (folder / "leaderboard.html").unlink()  # repeats the figures; ``guidance-bench leaderboard`` makes it
    return folder


if __name__ == "__main__":
    print(adopt(Path(sys.argv[1]), sys.argv[2]))
