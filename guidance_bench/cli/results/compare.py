"""``guidance-bench compare RUNS_A RUNS_B``."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from ...core.console import say, width
from ...core.errors import UserError
from ..options import split_options, wants_help

HELP = """\
guidance-bench compare RUNS_A RUNS_B [records=FOLDER]

Is A better than B? Seed by seed, for each metric: means, difference, its 95 %
interval, p of a paired t and of the exact sign-flip permutation.

  RUNS       a record, a folder of records, ids of runs with commas between, or
             a method's name: its runs in records=
  records    an output folder or a folder of records (default: the records that
             come with the project)

A side with several settings is scored as one that tunes: each seed at what was
best on the other seeds."""


def command(arguments: Sequence[str]) -> int:
    """Print a table for each protocol that both sides have; returns the exit status.

    Raises:
        UserError: runs that are not there, or that share no protocol.
    """
    if wants_help(arguments):
        print(HELP)
        return 0 if arguments else 2
    words, options = split_options(arguments, {"records": ""})
    if len(words) != 2:
        raise UserError(f"compare takes two sets of runs, not {len(words)}: guidance-bench compare ig cfg")

    from ...experiments.records import read_records
    from ...experiments.selection import select_runs

    pool = read_records(options["records"] or None)
    a, b = (select_runs(word, pool) for word in words)
    from ...leaderboard.comparison.compare import compare
    from ...leaderboard.formats.rows import printable
    from ...leaderboard.formats.terminal import terminal

    for found in compare(a, b):
        say(f"{printable(found.title)}\nA: {printable(found.words[0])}\nB: {printable(found.words[1])}\n")
        say(f"{terminal(found.sheet(), width())}\n\n{textwrap.fill(found.verdict, width())}\n")
    return 0
