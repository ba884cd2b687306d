"""The page of the published rows, from their declaration and records: ``python tests/helpers/published_table.py``."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT)]

from speed_tables import grid  # noqa: E402

from guidance_bench.experiments.benchmark import BENCHMARKS  # noqa: E402
from guidance_bench.experiments.published.declaration import NUMBERS, PublishedRow  # noqa: E402
from guidance_bench.experiments.records import read_records  # noqa: E402
from guidance_bench.storage.files import read_json, write_text  # noqa: E402

PAGE = ROOT / "benchmarks" / "imagenet256" / "README.md"
RESULTS = ROOT / "benchmarks" / "results" / "imagenet256"
HEAD = [
    "row",
    "backbone",
    "method",
    "labels",
    "FID",
    "sFID",
    "IS",
    "precision",
    "recall",
    "not printed",
    "measured here",
]
TEXT = """# ImageNet 256 x 256 at the official checkpoints

What `benchmark.json` declares: the authors' checkpoints, autoencoders, solvers, rules of rounding and labels, and the
numbers that they printed, 50,000 samples against ADM's reference. A row is one command:

    guidance-bench check benchmark=imagenet256 row=lightningdit_xl_ig_cfg
    guidance-bench run benchmark=imagenet256 row=lightningdit_xl_ig_cfg
    guidance-bench report outputs

`check` names every file that is missing, with address, size and folder. `row=all` runs what can be run. Any method runs
on any row's backbone: `benchmark=imagenet256 backbone=sit_xl_ig method=apg`; `imagenet256_5k` is for tuning. Where the
name of a published file is not known, or no checkpoint was published, give `checkpoint=FILE`.

A row with an entry under *not printed* runs with the setting nearest at hand and can never be called a reproduction.
All numbers are the authors' or, for SiT-B/2, second-hand.

"""


def page() -> str:
    declared = BENCHMARKS.create("imagenet256").declared  # type: ignore[attr-defined]
    lines = [HEAD, ["---"] * len(HEAD), *(cells(name, row) for name, row in declared.rows.items())]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    sources = {name: f"{row.source}; {row.version}" for name, row in declared.rows.items()}
    named = {text: [n for n in sources if sources[n] == text] for text in dict.fromkeys(sources.values())}
    listed = "".join(f"- {text}: {', '.join(names)}\n" for text, names in named.items())
    notes = "".join(f"- {name}: {row.note}\n" for name, row in declared.rows.items() if row.note)
    return f"{TEXT}{table}\nSources:\n\n{listed}\nNotes:\n\n{notes}\n{official()}"


def official() -> str:
    """What the authors' programs gave for small random models, beside ours."""
    programs = read_json(ROOT / "benchmarks" / "official.json")["programs"].values()
    rows = [[p["source"], p["forward"], max(p["samples"].values()), p.get("loss")] for p in programs]
    head = ["official program", "forward (relative L2)", "samples (of the largest value)", "loss (relative)"]
    return (
        "## Beside the official programs\n\n"
        "Largest differences of what we compute from what the authors' programs gave, on small random models; the "
        "tests hold\n1e-5 (forward), 1e-4 (samples) and 1e-6 (losses).\n\n" + grid(head, rows)
    )


def cells(name: str, row: PublishedRow) -> list[str]:
    numbers = [f"{row.numbers[n]:.{1 if n == 'inception_score' else 2}f}" if n in row.numbers else "" for n in NUMBERS]
    values = ", ".join(f"{key} {value}" for key, value in row.parameters.items())
    method = f"{row.method} ({values})" if values else row.method
    return [f"`{name}`", row.backbone, method, row.labels, *numbers, ", ".join(row.not_printed), measured(name)]


def measured(name: str) -> str:
    """FID of the committed records of a row, by their command; without any, that there is none yet."""
    records = read_records(RESULTS) if RESULTS.exists() else []
    found = [r["metrics"]["fid"]["mean"] for r in records if f"row={name} " in f"{r['command']} "]
    return f"FID {sum(found) / len(found):.2f}" if found else "none yet"


if __name__ == "__main__":
    write_text(PAGE, page())
