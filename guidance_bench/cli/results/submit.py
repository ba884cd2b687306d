"""``guidance-bench submit OUTPUT benchmark=NAME``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...core.console import say
from ...core.errors import UserError
from ..options import split_options, wants_help

HELP = """\
guidance-bench submit OUTPUT benchmark=NAME

Takes the records of a benchmark from an output folder into the project's
benchmarks/results, and draws tables, figures and sample grids beside them."""


def command(arguments: Sequence[str]) -> int:
    """Put the records in place."""
    if wants_help(arguments):
        print(HELP)
        return 0 if arguments else 2
    folders, options = split_options(arguments, {"benchmark": ""})
    if len(folders) != 1 or not options["benchmark"]:
        raise UserError("submit takes one output folder and benchmark=NAME")

    from ...leaderboard.submit import submit

    say(str(submit(Path(folders[0]), options["benchmark"])))
    return 0
