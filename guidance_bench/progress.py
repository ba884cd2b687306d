"""Progress bars that say what is done, what it gives and how long it will take."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm


def bar(total: int, description: str, unit: str, done: int = 0) -> tqdm[Any]:
    """A bar on the terminal's error stream; a plain log gets a line every few seconds instead of a redrawn one."""
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
    )


def say(text: str = "") -> None:
    """One line for the user, on standard output, from the first process alone; bars step aside for it."""
    tqdm.write(text, file=sys.stdout)
    sys.stdout.flush()
