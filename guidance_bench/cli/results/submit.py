"""``guidance-bench submit OUTPUT benchmark=NAME``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...core.console import say
from ...core.errors import UserError
from ..names import check_name, check_path
from ..options import split_options, wants_help

HELP = """\
guidance-bench submit OUTPUT benchmark=NAME

Takes the records of a benchmark from an output folder into the project's
benchmarks/results, with what strength and tune measured of them, and draws
tables, figures and sample grids beside them. Before that each record is held to
what verify samples=none checks; nothing is taken where one differs. A run that
is there already is kept beside the one before: nothing is replaced."""


def command(arguments: Sequence[str]) -> int:
    """Put the records in place."""
    if wants_help(arguments):
        print(HELP)
        return 0 if arguments else 2
    folders, options = split_options(arguments, {"benchmark": ""})
    if len(folders) != 1 or not options["benchmark"]:
        raise UserError("submit takes one output folder and benchmark=NAME")
    check_path(folders[0], "an output folder")
    check_name("benchmark", options["benchmark"])

    from ...core.environment import pick_device
    from ...experiments.records import read_record, record_files
    from ...leaderboard.submit import submit
    from ...report.checks import verified
    from ...report.verify import glance

    for run_id, path in record_files(folders[0]).items():
        if read_record(path)["spec"]["benchmark"]["name"] != options["benchmark"]:
            continue
        wrong = [check for check in glance(path, pick_device("cpu")) if not verified([check])]
        if wrong:
            raise UserError(f"record {run_id}: {wrong[0].what}: {wrong[0].words}; nothing was taken")
    say(str(submit(Path(folders[0]), options["benchmark"])))
    return 0
