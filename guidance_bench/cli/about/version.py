"""``guidance-bench version``."""

from __future__ import annotations

from collections.abc import Sequence

from ... import __version__
from ...core.errors import UserError
from ..options import wants_help

HELP = """\
guidance-bench version

Prints the version of the program, as --version does."""


def command(arguments: Sequence[str]) -> int:
    """Print the version; :class:`UserError` for any word but those of help."""
    if arguments and wants_help(arguments):
        print(HELP)
        return 0
    if arguments:
        raise UserError(f"version takes no {arguments[0][:60]!r}")
    print(__version__)
    return 0
