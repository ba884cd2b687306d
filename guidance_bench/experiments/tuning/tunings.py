"""The records of searches that were made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...core.errors import UserError
from ...core.identity import sha256_of_value
from ...storage.files import read_json


def read_tunings(folder: str | Path) -> list[dict[str, Any]]:
    """The searches whose records lie below a folder, in ``tuning/``.

    Raises:
        UserError: a record that does not fit its seal.
    """
    found = []
    for path in sorted(Path(folder).rglob("tuning/*.json")):
        record = read_json(path)
        body = {k: v for k, v in record.items() if k != "sha256"} if isinstance(record, Mapping) else {}
        if not {"tuning", "search", "best", "spent", "sha256"} <= {*body, *(record or {})}:
            raise UserError(f"{str(path)!r} is not the record of a tuning")
        if record["sha256"] != sha256_of_value(body):
            raise UserError(f"{str(path)!r} is corrupt: its sha256 does not fit its contents")
        found.append(record)
    return found
