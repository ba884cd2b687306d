"""TensorBoard or W&B beside a training's log, one run of theirs for a training however often it is interrupted."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from ..core.errors import UserError, did_you_mean
from ..storage.files import write_text

TRACKERS = ("tensorboard", "wandb")
#: Folder of TensorBoard's files beside the log; W&B calls its own ``wandb``.
FOLDER = "tracking"
#: The file that keeps W&B's id of the training.
WANDB_ID = "wandb_id"


def check_tracker(name: str) -> None:
    """Raise :class:`UserError` for a tracker that is unknown or not installed; "" is none."""
    if name and name not in TRACKERS:
        raise UserError(f"tracker={name!r} is not one of {', '.join(TRACKERS)}{did_you_mean(name, TRACKERS)}")
    if name and find_spec(name) is None:
        raise UserError(f"tracker={name!r} is not installed: pip install {name}")


class Tracking:
    """What has been opened with the tracker.

    Args:
        accelerator: of the training, made for the tracker.
        place: folder of the training.
        config: what the tracker shows of the training.
        kept: rows of the log up to the step that the training goes on from, in order of "step". TensorBoard is told to
            forget what came after; W&B is sent those that it does not have. It cannot go on with a run offline: there
            each interruption leaves another folder of the same id, and the last one is whole.

    Raises:
        UserError: the tracker refuses, for want of an account or of the network.
    """

    def __init__(
        self, accelerator: Accelerator, place: Path, config: Mapping[str, Any], kept: Sequence[Mapping[str, Any]]
    ) -> None:
        self.accelerator, self._first = accelerator, 0
        self.wandb = "wandb" in map(str, accelerator.log_with)
        try:
            self._begin(place, config, int(kept[-1]["step"]) if kept else 0)
        except Exception as error:  # each tracker raises its own
            what = "tracker='wandb'" if self.wandb else "tracker='tensorboard'"
            hint = "; WANDB_MODE=offline keeps its files here" if self.wandb else ""
            raise UserError(f"{what} does not begin: {' '.join(str(error).split())[:200]}{hint}") from error
        if self.wandb:
            for row in kept:
                self.log(row)

    def _begin(self, place: Path, config: Mapping[str, Any], step: int) -> None:
        if not self.wandb:
            begun = (place / FOLDER).exists()
            own: dict[str, dict[str, Any]] = {"tensorboard": {"purge_step": step + 1}} if begun else {}
            self.accelerator.init_trackers(FOLDER, None if begun else _flat(config), own)
            return
        known = place / WANDB_ID
        if self.accelerator.is_main_process and not known.exists():
            write_text(known, secrets.token_hex(4))
        id_ = known.read_text(encoding="utf-8").strip() if known.exists() else ""
        own = {"wandb": {"dir": str(place), "name": place.name, "id": id_, "resume": "allow"}}
        self.accelerator.init_trackers("guidance_bench", _flat(config), own)
        if self.accelerator.is_main_process:
            self._first = self.accelerator.get_tracker("wandb", unwrap=True).step

    def log(self, row: Mapping[str, Any]) -> None:
        """Numbers by name, with their "step"; W&B keeps what it has of a step."""
        if row["step"] >= self._first:
            self.accelerator.log({name: value for name, value in row.items() if name != "step"}, step=row["step"])

    def end(self) -> None:
        """Close it."""
        self.accelerator.end_training()


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as trackers take them: numbers and texts."""
    return {name: v if isinstance(v, (bool, int, float, str)) else str(v) for name, v in values.items()}
