"""``guidance-bench version``."""

from __future__ import annotations

from collections.abc import Sequence

from ... import __version__

HELP = """\
guidance-bench version

Prints the version of the program, as --version does."""


def command(arguments: Sequence[str]) -> int:
    """Print the version."""
    print(__version__)
    return 0
