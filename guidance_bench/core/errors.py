"""The one error that a user's mistake raises."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class UserError(ValueError):
    """A mistake that the user can mend: one line that names the thing, the value and the way out.

    The command line prints the message alone and exits with status 2.
    """


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest known name, else an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def unknown(kind: str, name: str, known: Iterable[str], *, in_files: bool = False) -> UserError:
    """The mistake of naming what is not registered: says what is, and which of it is closest.

    ``in_files``: a file that registers the name would do too, so one of that name is the closest.
    """
    names = sorted(known)
    lies_here = in_files and name.isidentifier() and Path(f"{name}.py").is_file()
    hint = f"; did you mean the file '{name}.py'?" if lies_here else did_you_mean(name, names)
    return UserError(f"unknown {kind} {name!r} (known: {', '.join(names)}){hint}")


def no_parameter(owner: str, name: str, known: Iterable[str]) -> UserError:
    """The mistake of setting a parameter that ``owner`` does not have."""
    names = list(known)
    has = ", ".join(names) or "none"
    return UserError(f"{owner} has no parameter {name!r} (it has: {has}){did_you_mean(name, names)}")
