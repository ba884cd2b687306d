"""What a training writes down of itself: its log, what an observer saw, and the tracker beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from ..networks.backbone import Backbone
from .alone import Alone
from .execution import Execution
from .log import Log
from .tracking import Tracking


def observed(place: Path) -> Log:
    """What the observer of a training saw, a row a number."""
    return Log(place / "observed.csv", ("step", "name", "value"))


class Journal:
    """The files of one training, written by its first process.

    Args:
        accelerator: of the training.
        execution: names the tracker and the observer.
        place: folder of ``log.csv`` and ``observed.csv``.
    """

    def __init__(self, accelerator: Accelerator | Alone, execution: Execution, place: Path) -> None:
        self.accelerator, self.execution, self.place = accelerator, execution, place
        self._log = Log(place / "log.csv")
        self._observed = observed(place)
        self._tracking: Tracking | None = None

    def begin(self, step: int, config: Mapping[str, Any]) -> None:
        """Go on after ``step``: what was written of later ones is made again.

        Raises:
            UserError: a file cannot be written, or the tracker refuses.
        """
        if self.accelerator.is_main_process:
            self._log.begin(step)
            if self.execution.observer:
                self._observed.begin(step)
        if isinstance(self.accelerator, Accelerator) and self.execution.tracker:
            looks = [{"step": row["step"], row["name"]: row["value"]} for row in self._observed.rows()]
            kept = sorted([*self._log.rows(), *looks], key=lambda row: row["step"])
            self._tracking = Tracking(self.accelerator, self.place, config, [r for r in kept if r["step"] <= step])

    def add(self, row: Mapping[str, Any]) -> None:
        """A row of the log."""
        if self.accelerator.is_main_process:
            self._log.add(row)
        if self._tracking:
            self._tracking.log(row)

    def observe(self, step: int, network: Backbone) -> None:
        """What the observer sees; the other processes wait."""
        if self.accelerator.is_main_process and self.execution.observer:
            values = self.execution.observer(step, network)
            for name, value in values.items():
                self._observed.add({"step": step, "name": name, "value": float(value)})
            if self._tracking:
                self._tracking.log({"step": step, **values})
        self.accelerator.wait_for_everyone()

    def losses(self) -> list[list[float]]:
        """[step, loss] of each row."""
        return [[row["step"], row["loss"]] for row in self._log.rows()]

    def end(self) -> None:
        """Close the tracker."""
        if self._tracking:
            self._tracking.end()
