"""``guidance-bench check``: what ``run`` with the same words would do, and whether it can."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from ..options import wants_help
from .words import as_list, check_at_once, of_benchmark, split_flags

HELP = """\
guidance-bench check benchmark=NAME [the words of run ...]

Verifies what can be verified before it costs anything: files (each missing one
with name, address, size and the folder to put it in) and their hashes, whether
the network answers the method's queries, the reference's statistics, disk
space, memory, evaluations, and the time, from a short probe. Prints run ids and
what is done already. With row=all: every published row.

Exit status 0 only if run would start."""


def command(arguments: Sequence[str]) -> int:
    """Print a line for each thing that was looked at; 1 if the run would not start.

    Raises:
        UserError: words that ``run`` would refuse.
    """
    if wants_help(arguments):
        print(HELP)
        return 0 if arguments else 2
    flags, overrides = split_flags(arguments)
    overrides = [as_list(of_benchmark(override)) for override in overrides]
    check_at_once(overrides)
    look = import_module("..looking", __name__).look
    status: int = look(flags, overrides)
    return status
