"""The README's tables, made from committed records; ``python tests/readme.py`` writes them into the README."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from guidance_bench.files import read_json, write_text  # noqa: E402
from guidance_bench.leaderboard import tables  # noqa: E402
from guidance_bench.results import load_results  # noqa: E402
from guidance_bench.sheets import best_sheet  # noqa: E402
from guidance_bench.writers import markdown  # noqa: E402

README = ROOT / "README.md"
RECORDS = ROOT / "benchmarks"


def leaderboard() -> str:
    frame = load_results(RECORDS / "results" / "digits_full")
    (table,) = tables(frame).values()
    return f"{markdown(best_sheet(table.best, table.metrics))}\n{table.note}"


def timing() -> str:
    record = read_json(RECORDS / "main_job.json")
    first, repeat = record["first_seconds"], record["repeat_seconds"]
    return (
        f"Measured from an installed state on {record['environment']['device']}: {first:.0f} s for the first call "
        f"({first / 60:.1f} minutes), {repeat:.0f} s for a repeat (`python tests/measure_main_job.py`)."
    )


def official() -> str:
    record = read_json(RECORDS / "official.json")
    programs = record["programs"].values()
    rows = [[p["source"], p["forward"], max(p["samples"].values()), p.get("loss")] for p in programs]
    return grid(
        ["official program", "forward (relative L2)", "samples (of the largest value)", "loss (relative)"], rows
    )


def speed() -> str:
    record = read_json(RECORDS / "speed.json")
    rows = [[r["what"], r["against"], f"{r['ratio']:.1f} x", r.get("note", "")] for r in record["rows"]]
    return grid(["what", "against", "faster by", "note"], rows) + f"\nOne run on {record['device']}."


def grid(head: list[str], rows: list[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *([cell(c) for c in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def cell(value: Any) -> str:
    return "none given" if value is None else f"{value:.1e}" if isinstance(value, float) else str(value)


SECTIONS = {"leaderboard": leaderboard, "timing": timing, "official": official, "speed": speed}


def rendered(text: str) -> str:
    """The README with every section made anew."""
    for name, make in SECTIONS.items():
        pattern = rf"<!-- {name} -->.*?<!-- /{name} -->"
        assert re.search(pattern, text, flags=re.S), name
        body = f"<!-- {name} -->\n{make().strip()}\n<!-- /{name} -->"
        text = re.sub(pattern, lambda _, body=body: body, text, flags=re.S)
    return text


if __name__ == "__main__":
    write_text(README, rendered(README.read_text(encoding="utf-8")))
