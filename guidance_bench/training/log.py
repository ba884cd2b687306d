"""The log of a training as CSV: one row now and then, cut back to the checkpoint where a training goes on."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import UserError
from ..storage.files import write_text

COLUMNS = (
    "step", "epoch", "loss", "final", "intermediate", "cosine", "grad_norm", "learning_rate", "images_per_second",
    "seconds",
)  # fmt: skip


class Log:
    """A CSV file, of which columns are empty where a training has no such term."""

    def __init__(self, path: Path, columns: Sequence[str] = COLUMNS) -> None:
        self.path, self.columns = path, tuple(columns)

    def begin(self, step: int) -> None:
        """Keep the rows up to ``step``; what came after the checkpoint is made again."""
        rows = [row for row in self.rows() if row["step"] <= step]
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.path, text.getvalue())

    def add(self, row: Mapping[str, Any]) -> None:
        """Append one row.

        Raises:
            UserError: the file cannot be written.
        """
        try:
            with self.path.open("a", encoding="utf-8", newline="") as file:
                csv.DictWriter(file, self.columns, restval="", lineterminator="\n").writerow(row)
        except OSError as error:
            raise UserError(f"cannot write {str(self.path)!r}: {error.strerror or error}") from error

    def rows(self) -> list[dict[str, Any]]:
        """The whole rows so far; a last line that was cut off by a kill is left out."""
        if not self.path.exists():
            return []
        with self.path.open(encoding="utf-8", newline="") as file:
            found = [row for row in csv.DictReader(file) if None not in row.values()]
        return [{k: _value(k, v) for k, v in row.items() if v} for row in found]


def _value(column: str, text: str) -> Any:
    return int(text) if column == "step" else text if column == "name" else float(text)
