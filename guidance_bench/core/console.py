"""What the user sees while a command works: lines, and bars that say what is done and how long the rest will take.

On a terminal bars are redrawn below the lines (rich); a pipe or a log file gets whole lines, seldom.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from types import TracebackType
from typing import Any

#: Seconds from a bar's begin to its first line in a plain log; each pause is half as long again, up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 10.0, 300.0
_live: Any = None  # rich's display, as long as a bar is on the terminal
_open = 0


def rank() -> int:
    """This process's number among those of ``accelerate launch`` or ``torchrun``; 0 where there is one."""
    return int(os.environ.get("RANK", "0"))


def width() -> int:
    """Columns of the terminal (``COLUMNS`` where it is set); 80 for a pipe or a file."""
    return max(shutil.get_terminal_size((80, 24)).columns, 20)


def on_terminal() -> bool:
    """Whether bars are drawn: the error stream is a terminal that can move its cursor.

    While one is drawn it is, whatever the stream says: rich before 15 puts a stream in its place that denies it.
    """
    return _live is not None or (sys.stderr.isatty() and os.environ.get("TERM") != "dumb")


class Bar:
    """Progress of one piece of work; use it in a ``with`` statement. Made by :func:`bar`."""

    def __init__(self, total: int, description: str, unit: str, done: int = 0, timed: bool = True) -> None:
        self.total, self.description, self.done = total, description, float(done)
        self.unit = unit if unit.endswith("B") else f"{unit}s"
        self._timed = timed
        self._facts = self._noted = ""
        self._begin = self._said = time.monotonic()
        self._first = done
        self._pause = FIRST_PAUSE
        self._task: Any = None

    def __enter__(self) -> Bar:
        if rank() == 0 and on_terminal():
            facts = {"unit": self.unit, "facts": "", "left": ""}
            self._task = _display().add_task(self.description, total=self.total, completed=self.done, **facts)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._task is not None:
            _close(self._task)

    def update(self, count: float = 1) -> None:
        """So many more units are done."""
        self.done += count
        if self._task is not None:
            _live.update(self._task, completed=self.done, left=self._left())
        elif self._timed and rank() == 0:
            self._log()

    def set_postfix(self, **facts: object) -> None:
        """What the work gives so far, such as a loss; shown behind the numbers."""
        self._facts = ", ".join(f"{name} {value}" for name, value in facts.items())
        if self._task is not None:
            _live.update(self._task, facts=self._facts, left=self._left())

    def note(self, left: str) -> None:
        """Say how much time is left, where the units are not alike."""
        self._noted = left

    def _left(self) -> str:
        if not self._timed:
            return self._noted
        made, passed = self.done - self._first, time.monotonic() - self._begin
        if made <= 0 or passed < 1:
            return ""
        return f"{duration(passed / made * (self.total - self.done))} left"

    def _log(self) -> None:
        now = time.monotonic()
        if now - self._said < self._pause or self.done >= self.total:
            return
        self._said, self._pause = now, min(1.5 * self._pause, LONGEST_PAUSE)
        parts = [f"{self.done:,.0f}/{self.total:,} {self.unit}", self._facts, self._left()]
        print(f"{self.description}: {', '.join(filter(None, parts))}", file=sys.stderr, flush=True)


def bar(total: int, description: str, unit: str, done: int = 0, timed: bool = True) -> Bar:
    """A bar on the error stream, of the first process alone; in a plain log a whole line now and then.

    Args:
        total: units of all the work.
        description: what is done.
        unit: in the singular; multiples of a byte as they are.
        done: units that an earlier call has done.
        timed: whether the units are alike, so that the time left follows from those done; else no line in a log.
    """
    return Bar(total, description, unit, done, timed)


def duration(seconds: float) -> str:
    """A time as people say it: ``40 s``, ``4 min``, ``2 h 10 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _display() -> Any:
    """The display that all bars share; on a narrow terminal the bar itself shrinks first, then goes."""
    global _live, _open
    if _live is None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        cut = Column(no_wrap=True, overflow="ellipsis", ratio=1)
        whole = Column(no_wrap=True)
        wide = width()
        columns = [
            TextColumn("{task.description}", markup=False, table_column=cut),
            *([BarColumn(bar_width=min(40, wide // 4))] if wide >= 60 else []),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} {task.fields[unit]}", table_column=whole),
            *([TextColumn("{task.fields[facts]}", markup=False, table_column=whole)] if wide >= 100 else []),
            TextColumn("{task.fields[left]}", table_column=whole),
        ]
        console = Console(stderr=True, width=wide)
        _live = Progress(*columns, console=console, transient=True, expand=True, redirect_stdout=sys.stdout.isatty())
        _live.start()
    _open += 1
    return _live


def _close(task: Any) -> None:
    global _live, _open
    _live.remove_task(task)
    _open -= 1
    if _open == 0:
        _live.stop()
        _live = None


def say(text: str = "") -> None:
    """One line for the user, on standard output, from the first process alone; bars step aside for it."""
    if rank() == 0:
        print(text, flush=True)


def warn(text: str) -> None:
    """One line on the error stream, from whichever process has something to say."""
    print(f"{speaker()}: {text}", file=sys.stderr, flush=True)


def speaker() -> str:
    """The program's name as messages begin with it; other processes than the first add their number."""
    return f"guidance-bench [process {rank()}]" if rank() else "guidance-bench"
