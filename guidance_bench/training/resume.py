"""Checkpoints that a training goes on from: sealed, written whole, the last few and every so many steps."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from ..core.errors import UserError
from ..storage.files import atomic, read_sealed, sha256_of, sweep, write_sealed

KEYS = ("training", "step", "sha256")
_NAME = re.compile(r"step_(\d{9})\.json")


class Checkpoints:
    """A folder of ``step_000001000.pt``, each with a sealed JSON that is written last: without it, it does not count.

    Args:
        folder: theirs alone.
        training: name of the training, which a checkpoint must be of.
        last: how many to keep.
    """

    def __init__(self, folder: Path, training: str, last: int) -> None:
        self.folder, self.training, self.last = folder, training, last

    def steps(self) -> list[int]:
        """Steps after which there is one, in order."""
        names = [match for match in (_NAME.fullmatch(p.name) for p in self.folder.glob("step_*.json")) if match]
        return sorted(int(match[1]) for match in names)

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write one, then remove what is older than the last few.

        Raises:
            UserError: the disk is full or the folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        sweep(self.folder)
        with atomic(self._file(step)) as temporary:
            torch.save(state, temporary)
        seal = {"training": self.training, "step": step, "sha256": sha256_of(self._file(step))}
        write_sealed(self._file(step).with_suffix(".json"), seal)
        for old in self.steps()[: -self.last]:
            self._remove(old)

    def load(self, device: torch.device) -> tuple[int, dict[str, Any]] | None:
        """The last one: its step and state; None where there is none.

        Raises:
            UserError: it is damaged or of another training; the message says how to go back to the one before.
        """
        steps = self.steps()
        if not steps:
            return None
        file = self._file(steps[-1])
        try:
            known = read_sealed(file.with_suffix(".json"), KEYS)
            sound = file.is_file() and known["sha256"] == sha256_of(file) and known["training"] == self.training
        except UserError:
            sound = False
        if not sound:
            before = f"go on from step {steps[-2]}" if len(steps) > 1 else "train anew"
            raise UserError(
                f"{str(file)!r} is damaged: delete it and {file.with_suffix('.json').name} beside it to {before}"
            )
        state: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
        return steps[-1], state

    def clear(self) -> None:
        """Remove all: the training is done."""
        for step in self.steps():
            self._remove(step)
        if self.folder.is_dir():
            sweep(self.folder)
            if not any(self.folder.iterdir()):
                self.folder.rmdir()

    def _remove(self, step: int) -> None:
        self._file(step).with_suffix(".json").unlink(missing_ok=True)
        self._file(step).unlink(missing_ok=True)

    def _file(self, step: int) -> Path:
        return self.folder / f"step_{step:09d}.pt"
