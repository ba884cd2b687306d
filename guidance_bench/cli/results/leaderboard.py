"""``guidance-bench leaderboard [FOLDER]``."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path

from ...core.console import say
from ...core.errors import UserError
from ..names import check_path
from ..options import split_options, truth, wants_help

HELP = """\
guidance-bench leaderboard [FOLDER] [output=leaderboard] [exclude=old,NAME,...]

  FOLDER   an output folder, a folder of records or one record
           (default: the records that come with the project)
  output   where tables (Markdown, CSV, LaTeX), page (HTML) and figures go
  exclude  old: runs of a plug-in whose code has changed since; a method, or
           one version of it (mine@1a2b3c4d); a run's id
  all=true makes again what is made of the records that come with the
           project: each benchmark's tables, figures, LEADERBOARD.md, the page
  latex    narrow: as wide as a text; full: all columns"""

DEFAULTS = {"output": "leaderboard", "exclude": "", "latex": "narrow", "all": "false"}


def command(arguments: Sequence[str]) -> int:
    """Read records, write everything into ``output`` and print the tables.

    Raises:
        UserError: no records there, a corrupt one, or ``output`` cannot be written.
    """
    if arguments and wants_help(arguments):
        print(HELP)
        return 0
    positional, options = split_options(arguments, DEFAULTS)
    everything = truth("all", options["all"])
    if options["latex"] not in ("narrow", "full"):
        raise UserError(f"latex={options['latex']!r} is not narrow or full")
    if len(positional) > 1:
        raise UserError(f"leaderboard takes one folder of records, not {len(positional)}: {' '.join(positional)}")
    path = positional[0] if positional else None
    if path:
        check_path(path, "a record or a folder of records")

    if everything:
        from ...experiments.records import committed_results
        from ...leaderboard.collection import write_collection
        from ...leaderboard.submit import redraw

        for records_folder in sorted(committed_results().glob("*/records")):
            redraw(records_folder.parent)
        for written in write_collection():
            say(str(written))
        return 0

    from ...experiments.records import read_records
    from ...experiments.selection import without
    from ...leaderboard.publish import publish

    records = read_records(path)
    gc.freeze()  # they hold no cycles: a second to look through ten thousand for some
    if not records:
        place = repr(path) if path else "the project's own folder of results"
        raise UserError(f"{place} holds no records: give the output folder of a run, or one record")
    if options["exclude"]:
        records = without(records, [word.strip() for word in options["exclude"].split(",")])
    stores = Path(path) if path and Path(path).is_dir() else None
    publish(records, Path(options["output"]), stores=stores, full_latex=options["latex"] == "full")
    return 0
