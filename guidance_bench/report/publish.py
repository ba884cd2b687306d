"""A reproducibility report as Markdown and as one HTML page that needs nothing beside it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import UserError
from ..experiments.records import read_record, record_files, to_frame
from ..leaderboard.figures.sample_grids import StoredSamples, sample_grid
from ..leaderboard.formats.markdown import escape_markdown
from ..leaderboard.protocol_tables import tables
from ..storage.files import write_text
from .claims import arithmetic, project_record, witness
from .contents import Section, Shared, sections, told_once
from .facts import Facts
from .kept_samples import few_of

if TYPE_CHECKING:
    from ..leaderboard.figures.style import Figure

TOLERANCE = (
    "A tolerance is the sum of three parts: half of the last printed digit; what the same network in TensorFlow and "
    "PyTorch gave on the same samples; and what two independent draws of samples may differ by (95 percent), from the "
    "spread of the draws here (Student's t, the printed number being one more draw) or, for one draw, from the "
    "literature."
)

#: Settings that a line of verdicts names.
FEW = 3


def report(places: Sequence[Path], output: Path) -> list[str]:
    """Write ``report.md``, ``report.html`` and ``figures/``.

    Args:
        places: records, folders of runs, or folders searched for records.
        output: where to.

    Returns:
        A line for each verdict: of which settings it is.

    Raises:
        UserError: no records, a corrupt one, or the folder cannot be written.
    """
    if output.suffix in (".html", ".md"):
        raise UserError(
            f"output={str(output)!r} is to be a folder, of report.md, report.html and figures: give no ending"
        )
    by_place = {place: [place] if place.is_file() else list(record_files(place).values()) for place in places}
    empty = [str(place) for place, files in by_place.items() if not files]
    if empty:
        raise UserError(f"no records in {', '.join(empty)}: give records, runs or output folders")
    found = _latest({file: read_record(file) for files in by_place.values() for file in files})
    records = [facts.record for facts in found]
    samples = _samples(places, records)
    for facts in found:
        facts.stored = facts.record["run_id"] in samples
        few = None if facts.stored else few_of(facts.record, facts.file)
        if few is not None:
            samples[facts.record["run_id"]] = few.images
    parts = sections(found)
    figures = _figures(records, output / "figures")
    grids = [_grid(part, samples, output / "figures") for part in parts]
    shared, own = told_once(parts)
    write_text(output / "report.md", _markdown(own, shared, grids, figures))
    write_text(output / "report.html", _html(own, shared, grids, figures))
    return _verdicts(parts)


def _verdicts(parts: Sequence[Section]) -> list[str]:
    """Settings of one verdict in one line, named where they are few."""
    titles: dict[str, list[str]] = {}
    for part in parts:
        titles.setdefault(part.verdict, []).append(part.title)
    return [
        f"{', '.join(of) if len(of) <= FEW else f'{len(of)} settings'}: {verdict}" for verdict, of in titles.items()
    ]


def _latest(read: Mapping[Path, dict[str, Any]]) -> list[Facts]:
    """Each run with the latest of its records, the earlier ones, and what can be checked of it at once."""
    found: dict[str, Facts] = {}
    for file, record in sorted(read.items(), key=lambda pair: str(pair[1]["time"])):
        before = found.get(record["run_id"])
        earlier = [*before.earlier, before.record] if before else []
        checks = [arithmetic(record), project_record(record), *witness(record, file)]
        others = [other for other in earlier if other["sha256"] != record["sha256"]]
        found[record["run_id"]] = Facts(record, file, checks, others)
    return list(found.values())


def _samples(places: Sequence[Path], records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Images of the runs whose samples are in a place or beside it, by run id."""
    images: dict[str, Any] = {}
    for place in places:
        for root in (place, place.parent, place.parent.parent):
            for run_id, shown in StoredSamples(root, records).items() if root.is_dir() else ():
                images.setdefault(run_id, shown)
    return images


def _figures(records: Sequence[Mapping[str, Any]], folder: Path) -> list[Figure]:
    """Those of the leaderboard, for protocols with several settings."""
    from ..leaderboard.figures.overview import write_figures

    found = [table for table in tables(to_frame(records)).values() if len(table.settings) > 1]
    return [f for table in found for f in write_figures(table, folder, f"-{table.protocol}")]


def _grid(part: Section, samples: Mapping[str, Any], folder: Path) -> Figure | None:
    run_id = next((run_id for run_id in part.run_ids if run_id in samples), None)
    return None if run_id is None else sample_grid(samples[run_id], folder / f"run-{run_id}", title=part.title)


def _markdown(
    parts: Sequence[Section], shared: Shared, grids: Sequence[Figure | None], figures: Sequence[Figure]
) -> str:
    lines = ["# Reproducibility report", ""]
    lines += [f"- {escape_markdown(part.title)}: **{escape_markdown(part.verdict)}**" for part in parts]
    lines += ["", *([TOLERANCE, ""] if any(part.tolerances for part in parts) else [])]
    if shared.facts:
        lines += ["## What all settings share", "", *_facts(shared)]
    for part, grid in zip(parts, grids, strict=True):
        lines += [f"## {escape_markdown(part.title)}", "", f"**{escape_markdown(part.verdict)}**", ""]
        lines += [f"- {escape_markdown(line)}" for line in part.differing]
        lines += ["", *_table(part.metrics), ""]
        lines += [f"- tolerance of {escape_markdown(line)}" for line in part.tolerances]
        lines += ["", "### What was run", "", *(f"    {command}" for command in part.commands), ""]
        lines += _facts(part)
        lines += [f"![{escape_markdown(part.title)}](figures/{grid.png.name})", ""] if grid else []
        lines += ["<details><summary>Full specification</summary>", "", "```json", part.specification, "```", ""]
        lines += ["</details>", ""]
    lines += ["## All settings", ""] if figures else []
    lines += [f"![{escape_markdown(figure.title)}](figures/{figure.png.name})\n" for figure in figures]
    return "\n".join(lines).rstrip() + "\n"


def _facts(of: Section | Shared) -> list[str]:
    lines = []
    for heading, pairs in of.facts:
        lines += [f"### {heading}", "", *_table([["what", "value"], *map(list, pairs)]), ""]
    if of.unchecked:
        lines += ["### What was not checked", "", *(f"- {escape_markdown(line)}" for line in of.unchecked), ""]
    return lines


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    head, *body = [[escape_markdown(cell) for cell in row] for row in rows]
    return [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *body)]


def _html(parts: Sequence[Section], shared: Shared, grids: Sequence[Figure | None], figures: Sequence[Figure]) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(Path(__file__).with_name("report.html").read_text(encoding="utf-8"))
    shown = [None if grid is None else _picture(grid) for grid in grids]
    pairs = list(zip(parts, shown, strict=True))
    tolerance = TOLERANCE if any(part.tolerances for part in parts) else ""
    shown_figures = [_picture(figure) for figure in figures]
    return template.render(parts=pairs, shared=shared, figures=shown_figures, tolerance=tolerance) + "\n"


def _picture(figure: Figure) -> dict[str, str]:
    data = base64.b64encode(figure.png.read_bytes()).decode()
    return {"title": figure.title, "source": f"data:image/png;base64,{data}"}
