"""All benchmarks of a folder of results on one page: ``LEADERBOARD.md`` and ``leaderboard.html`` above it.

Both hang on the records alone (and on figures that lie there as files), so they can be made again and compared.
"""

from __future__ import annotations

from pathlib import Path

from ..core.errors import UserError
from ..experiments.records import committed_results, read_records, to_frame
from ..experiments.tuning.tunings import read_tunings
from ..storage.files import write_text
from .comparison.budget import with_budget
from .comparison.equal_cfg import with_equal_cfg
from .comparison.paired import HOW
from .comparison.strengths import read_strengths
from .formats.markdown import escape_markdown, markdown
from .page.render import render
from .previews import Previews
from .protocol_tables import Table, tables
from .reported import reported_tables
from .sheets import SPEED, best_sheet

#: Figures of a benchmark in the order in which they are shown; of those that are there.
FIGURES = {
    "convergence": "each method against training steps",
    "scale": "each method against its scale",
    "ranking": "every method's best",
    "precision_recall": "precision against recall",
    "cost": "quality against cost",
    "trajectory": "what each method does along its trajectories",
    "interval": "both ends of the guidance interval",
}


def write_collection(results: Path | None = None) -> list[Path]:
    """Write both files beside the folder of results; equal records give equal files.

    Args:
        results: a folder of ``<benchmark>/records``; None: the project's own.

    Raises:
        UserError: no records there, or the files cannot be written.
    """
    place = results or committed_results()
    found = all_boards(place)
    if not found:
        raise UserError(f"{str(place)!r} holds no records of any benchmark")
    written = [place.parent / "LEADERBOARD.md", place.parent / "leaderboard.html"]
    write_text(written[0], markdown_of(place, found))
    write_text(written[1], page_of(place, found))
    return written


def all_boards(place: Path) -> dict[str, list[Table]]:
    """The tables of each benchmark in a folder of results by its name, that of most samples a run first."""
    read = {folder.name: boards_of(folder) for folder in sorted(place.iterdir()) if (folder / "records").is_dir()}
    return dict(sorted(read.items(), key=lambda named: -_samples(named[1])))


def _samples(boards: list[Table]) -> int:
    """Most of any run."""
    return max((int(board.settings["samples"].max()) for board in boards), default=0)


def boards_of(folder: Path) -> list[Table]:
    """The tables of one benchmark's folder, with budgets, and the gain over CFG where strengths lie there."""
    tunings, strengths = read_tunings(folder), read_strengths(folder)
    found = tables(to_frame(read_records(folder))).values()
    return [with_equal_cfg(with_budget(table, tunings), strengths) for table in found]


def markdown_of(place: Path, found: dict[str, list[Table]]) -> str:
    """Each benchmark's table of best settings, with its protocol, its figures and the way to all settings."""
    parts = [
        "# Leaderboard\n",
        "Made from the committed records by `guidance-bench leaderboard all=true`; "
        "[`leaderboard.html`](leaderboard.html) is the same to search and to filter.\n",
    ]
    for name, boards in found.items():
        for table in boards:
            sheet = [field for field in best_sheet(table.best, table.metrics) if field.title != SPEED]
            parts += [
                f"## {escape_markdown(table.title)}\n",
                f"{escape_markdown(table.caption)}\n",
                markdown(sheet),
                f"{escape_markdown(table.note)}\n",
                *[f"![{text}]({path})\n" for text, path in _pictures(place, name, table)],
                f"[All settings]({place.name}/{name}/leaderboard.md) · [records]({place.name}/{name}/records)\n",
            ]
    for one in reported_tables():
        parts += [
            f"## Reported by papers: {escape_markdown(one.benchmark)}\n",
            f"{escape_markdown(one.note)}\n",
            markdown(one.sheet),
        ]
    parts += ["## How ties are told\n", f"{escape_markdown(HOW)}\n"]
    return "\n".join(parts)


def page_of(place: Path, found: dict[str, list[Table]]) -> str:
    """The page; figures and records are named by their files beside it."""
    boards = [(name, table) for name, own in found.items() for table in own]
    return render(
        [table for _, table in boards],
        [[] for _ in boards],
        [record for name in found for record in read_records(place / name)],
        {run: images for name in found for run, images in Previews(place / name / "previews", {}).items()},
        files=[f"{place.name}/{name}/records/*.json" for name, _ in boards],
        sheets=[f"{place.name}/{name}/previews/*.png" for name, _ in boards],
        pictures=[_pictures(place, name, table) for name, table in boards],
        reported=reported_tables(),
    )


def _pictures(place: Path, name: str, table: Table) -> list[tuple[str, str]]:
    """Title and address of each figure of a table; of a folder with several protocols they are named by these."""
    folder = place / name / "figures"
    files = [(stem, folder / f"{stem}{suffix}.png") for stem in FIGURES for suffix in ("", f"-{table.protocol}")]
    return [(f"{name}: {FIGURES[stem]}", f.relative_to(place.parent).as_posix()) for stem, f in files if f.exists()]
