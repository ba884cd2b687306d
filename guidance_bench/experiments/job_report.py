"""What a job of many runs says: a line a run, how each came out, and how long the rest will take."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from ..core.console import bar, duration, on_terminal, say, width
from ..metrics.base import METRICS
from .benchmark import Benchmark
from .specification import RunSpec
from .workspace import Workspace

#: Columns of a log that the time left takes, so that all lines are alike: "  16 h 46 min left".
LEFT = 18


class Report:
    """A bar for the whole job and a line for each run; use it in a ``with`` statement around the runs.

    Runs that are there already count as found: the time left is that of the others.

    Args:
        benchmark: whose primary metric is shown.
        specs: of all runs, in order.
        workspace: where those that are done lie.
    """

    def __init__(self, benchmark: Benchmark, specs: Sequence[RunSpec], workspace: Workspace) -> None:
        self._column = benchmark.column(benchmark.primary)
        cls: Any = METRICS.entry(benchmark.primary).cls
        self._heading = cls.title
        self._found = [workspace.has(spec.run_id) for spec in specs]
        self._number = 0
        self._made: list[float] = []
        self._last = time.monotonic()
        self._bar = bar(len(specs), "all runs", "run", timed=False)

    def __enter__(self) -> Report:
        self._bar.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.__exit__(kind, error, at)

    def done(self, title: str, record: dict[str, Any]) -> None:
        """Say how the next run in order came out."""
        now = time.monotonic()
        took, self._last = now - self._last, now
        found = self._found[self._number]
        self._number += 1
        if not found:
            self._made.append(took)
        left = self._left()
        self._bar.note(left)
        self._bar.update()
        shown = "found" if found else f"{took:.1f} s"
        say(self._line(title, record["metrics"][self._column]["mean"], shown, left))

    def _left(self) -> str:
        rest = self._found[self._number :].count(False)
        if not rest or not self._made:
            return ""
        # The first run of a pair of networks may train them too, so the mean would promise hours of training again.
        return f"{duration(rest * statistics.median_low(self._made))} left"

    def _line(self, title: str, value: float, took: str, left: str) -> str:
        total = len(self._found)
        number = f"{value:.3f}" if abs(value) < 1e4 else f"{value:.4g}"
        tail = f" {self._heading} {number:>8} {took:>8}"
        head = f"[{self._number:{int(math.log10(total)) + 1}}/{total}] {title}"
        beside = 0 if on_terminal() else LEFT  # on a terminal the bar says it
        room = max(width() - len(tail) - beside, 8)
        line = f"{head if len(head) <= room else head[: room - 1] + '…':<{min(room, 54)}}{tail}"
        return f"{line}  {left}".rstrip() if beside else line
