"""Progress bars that say what is done, what it gives and how long it will take; lines for the user."""

from __future__ import annotations

import os
import sys
from typing import Any

from tqdm import tqdm


def rank() -> int:
    """This process's number among those of ``accelerate launch`` or ``torchrun``; 0 where there is one."""
    return int(os.environ.get("RANK", "0"))


def bar(total: int, description: str, unit: str, done: int = 0) -> tqdm[Any]:
    """A bar on the terminal's error stream, of the first process alone.

    A plain log gets a line every few seconds instead of a redrawn one.
    """
    terminal = sys.stderr.isatty()
    return tqdm(
        total=total,
        initial=done,
        desc=description,
        unit=unit,
        leave=False,
        file=sys.stderr,
        dynamic_ncols=terminal,
        ncols=None if terminal else 80,
        mininterval=0.2 if terminal else 10,
        disable=rank() > 0,
    )


def say(text: str = "") -> None:
    """One line for the user, on standard output, from the first process alone; bars step aside for it."""
    if rank() == 0:
        tqdm.write(text, file=sys.stdout)
        sys.stdout.flush()


def warn(text: str) -> None:
    """One line on the error stream, from whichever process has something to say."""
    tqdm.write(f"{speaker()}: {text}", file=sys.stderr)
    sys.stderr.flush()


def speaker() -> str:
    """The program's name as messages begin with it; other processes than the first add their number."""
    return f"guidance-bench [process {rank()}]" if rank() else "guidance-bench"
