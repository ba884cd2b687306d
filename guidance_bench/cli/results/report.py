"""``guidance-bench report RUN|FOLDER...``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...core.console import say
from ...core.errors import UserError
from ..names import check_path
from ..options import PLUGINS, load_plugins, split_options, wants_help

HELP = """\
guidance-bench report RUN|FOLDER... [output=report]
                      [benchmark=FILE.py] [method=FILE.py] [solver=FILE.py]

  RUN, FOLDER   records, folders of runs, or folders with records
  output        where report.md, report.html (one file that needs nothing
                beside it) and figures go
  benchmark, method, solver   the file of a plug-in that runs were made with

What was run and with what, hashes, every draw, and each metric beside its
published number: difference, tolerance and how that was derived, and the
verdict (reproduced, not reproduced, or not comparable, and which fields of the
protocol differ); cost, samples, and what was not checked."""


def command(arguments: Sequence[str]) -> int:
    """Write the report, and say the verdicts.

    Raises:
        UserError: no records there, a corrupt one, or ``output`` cannot be written.
    """
    if wants_help(arguments):
        print(HELP)
        return 0 if arguments else 2
    words, options = split_options(arguments, {"output": "report", **PLUGINS})
    if not words:
        raise UserError("report takes one or several runs or folders of records")
    for word in words:
        check_path(word, "a record, a run or a folder of records")

    from ...report.publish import report

    load_plugins(options)
    output = Path(options["output"]).expanduser()
    for line in report([Path(word).expanduser() for word in words], output):
        say(line)
    say(f"report: {output / 'report.html'} (also report.md)")
    return 0
