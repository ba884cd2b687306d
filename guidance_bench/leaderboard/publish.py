"""Records to leaderboard: tables as Markdown, CSV, LaTeX and HTML, the figures, and the table on the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.console import say, width
from ..core.errors import UserError
from ..experiments.records import to_frame
from ..experiments.tuning.tunings import read_tunings
from ..storage.files import write_text
from .aggregate import aggregate, best, metrics_of, pareto
from .captions import bias_note, short_note
from .comparison.budget import with_budget
from .comparison.equal_cfg import with_equal_cfg
from .comparison.reproductions import reproduction_sheet
from .comparison.strengths import Trajectory, read_strengths
from .figures.grid_classes import Images
from .figures.sample_grids import StoredSamples
from .formats.csv import settings_csv
from .formats.latex import latex
from .formats.markdown import escape_markdown, markdown
from .formats.terminal import terminal
from .made_before import inputs_of, made_before, remember
from .protocol_tables import Table, tables
from .reported import reported_tables
from .sheets import SPEED, best_sheet, compact_sheet, paper_sheet, settings_sheet

if TYPE_CHECKING:
    import pandas as pd

    from .figures.style import Figure

__all__ = ["Table", "aggregate", "best", "pareto", "publish", "sweep_table", "tables"]
__all__ += ["terminal_table", "write_leaderboard"]


def terminal_table(rows: pd.DataFrame) -> str:
    """:func:`best` or :func:`aggregate` of one protocol as a plain table as wide as the terminal (80 in a pipe)."""
    return terminal(compact_sheet(rows, metrics_of(rows)), width())


def sweep_table(records: Iterable[Mapping[str, Any]]) -> str:
    """Every setting of the records as plain text, a table for each protocol."""
    found = tables(to_frame(records)).values()
    return "\n\n".join(f"{table.title}, protocol {table.protocol}\n{terminal_table(table.settings)}" for table in found)


def publish(
    records: Sequence[Mapping[str, Any]], folder: Path, *, stores: Path | None = None, full_latex: bool = False
) -> dict[str, Path]:
    """:func:`write_leaderboard`, then print the tables and where everything lies.

    Files that were made of the same before, and have not been changed since, stay.
    """
    tunings, strengths = (read_tunings(stores), read_strengths(stores)) if stores else ([], {})
    found = _tables(records, tunings=tunings, strengths=strengths)
    samples = StoredSamples(stores, records) if stores else None
    inputs = inputs_of(records, tunings, strengths, samples, full_latex=full_latex)
    written = made_before(folder, inputs)
    if written is None:
        written = _write(found, records, folder, samples or {}, full_latex=full_latex)
        remember(folder, inputs, written)
    for table in found:
        title = f"{table.title}, protocol {table.protocol}: each method's best setting of those tried"
        say(f"\n{textwrap.fill(title, width())}")
        say(terminal_table(table.best))
        bias = bias_note(table.settings, table.metrics)
        if bias:
            say(textwrap.fill(bias, width()))
    say(f"\nleaderboard: {folder / 'leaderboard.html'} (also .md, .csv, .tex)\nfigures:     {folder / 'figures'}")
    return written


def write_leaderboard(
    records: Sequence[Mapping[str, Any]],
    folder: Path,
    *,
    primary: str | None = None,
    metrics: Sequence[str] | None = None,
    tunings: Sequence[Mapping[str, Any]] = (),
    strengths: Mapping[str, Trajectory] | None = None,
    samples: Mapping[str, Images] | None = None,
    full_latex: bool = False,
    page: bool = True,
) -> dict[str, Path]:
    """Write tables, figures and the page, each file atomically. Equal records give equal files.

    Args:
        records: validated records, of one protocol or several.
        folder: where to write.
        primary: metric that ranks the methods; None: each benchmark's own.
        metrics: columns to show; None: all.
        tunings: records of searches (:func:`guidance_bench.experiments.tuning.tunings.read_tunings`), for the budget of
            each method.
        strengths: w_e and update by run (:func:`.comparison.strengths.read_strengths`), for the gain over CFG of equal
            strength and the figure of trajectories.
        samples: images (N, H, W, C) uint8 by run_id, for the sample grids; only those of the best settings are read.
        full_latex: all columns in the LaTeX table, which then is wider than a text.
        page: whether to write the page too.

    Returns:
        Every file by its name in the folder.

    Raises:
        UserError: no records, an unknown metric, or the folder cannot be written.
    """
    found = _tables(records, primary, metrics, tunings, strengths)
    return _write(found, records, folder, samples or {}, full_latex=full_latex, page=page)


def _tables(
    records: Sequence[Mapping[str, Any]],
    primary: str | None = None,
    metrics: Sequence[str] | None = None,
    tunings: Sequence[Mapping[str, Any]] = (),
    strengths: Mapping[str, Trajectory] | None = None,
) -> list[Table]:
    if not records:
        raise UserError("a leaderboard needs at least one record")
    tabled = tables(to_frame(records), primary, metrics).values()
    return [with_equal_cfg(with_budget(table, tunings), strengths or {}) for table in tabled]


def _write(
    found: Sequence[Table],
    records: Sequence[Mapping[str, Any]],
    folder: Path,
    samples: Mapping[str, Images],
    *,
    full_latex: bool,
    page: bool = True,
) -> dict[str, Path]:
    from .figures.overview import write_convergence, write_figures
    from .page.render import render

    figures = [write_figures(table, folder / "figures", _suffix(table, found), samples) for table in found]
    by_protocol = dict(zip([table.protocol for table in found], figures, strict=True))
    for protocol, figure in write_convergence(found, records, folder / "figures"):
        by_protocol[protocol].insert(0, figure)
    texts = {
        "leaderboard.md": "\n".join(["# Leaderboard\n", *map(_markdown, found, figures)]),
        "leaderboard.csv": _csv(found),
        "leaderboard.tex": "\n".join(_latex(table, full_latex) for table in found),
    }
    if page:
        printed = reported_tables(record["spec"]["benchmark"]["name"] for record in records)
        texts["leaderboard.html"] = render(found, figures, records, samples, reported=printed)
    for name, text in texts.items():
        write_text(folder / name, text)
    paths = [folder / name for name in texts] + [p for group in figures for figure in group for p in figure.paths]
    return {path.relative_to(folder).as_posix(): path for path in paths}


def _suffix(table: Table, found: Sequence[Table]) -> str:
    """Keeps the figures of several protocols apart."""
    return f"-{table.protocol}" if len(found) > 1 else ""


def _markdown(table: Table, figures: Sequence[Figure]) -> str:
    pictures = [f"![{escape_markdown(figure.title)}](figures/{figure.png.name})\n" for figure in figures]
    return "\n".join(
        [
            f"## {escape_markdown(table.title)}\n",
            f"{escape_markdown(table.caption)}\n",
            markdown(best_sheet(table.best, table.metrics)),
            f"{escape_markdown(table.note)}\n",
            *pictures,
            "<details><summary>All settings</summary>\n",
            markdown(settings_sheet(table.settings, table.metrics)),
            "</details>\n",
            *_again(table),
        ]
    )


def _again(table: Table) -> list[str]:
    """Runs that were made more than once."""
    if table.again.empty:
        return []
    sheet = markdown(reproduction_sheet(table.again, table.metrics))
    return ["<details><summary>Runs made more than once, every record</summary>\n", sheet, "</details>\n"]


def _latex(table: Table, full: bool) -> str:
    """Without images/s, which was measured beside other jobs: a paper compares NFE."""
    label = f"guidance-{table.protocol}"
    if full:
        sheet = [field for field in best_sheet(table.best, table.metrics) if field.title != SPEED]
        return latex(sheet, f"{table.caption}. {table.note}", label)
    caption = f"{table.caption}. {short_note(table.best, table.primary)}"
    return latex(paper_sheet(table.best, table.metrics), caption, label, narrow=True)


def _csv(found: Sequence[Table]) -> str:
    """All settings of all protocols, told apart by their first columns; ``best`` marks each method's best setting."""
    import pandas as pd

    frames = [table.settings.assign(best=table.settings.index.isin(table.best.index)) for table in found]
    return settings_csv(pd.concat(frames, ignore_index=True).drop(columns="networks"))
