"""Files that come with a benchmark: where one is not sound, the project has to be installed again."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from guidance_bench.core.errors import UserError
from guidance_bench.storage.files import read_sealed


def missing(file: Path) -> UserError:
    """What to raise for a file that is not there or not as it was made."""
    return UserError(f"{str(file)!r} is missing or damaged: install the project again")


def read_own(file: Path, keys: Collection[str]) -> dict[str, Any]:
    """A sealed JSON with exactly these keys.

    Raises:
        UserError: it is missing or damaged.
    """
    try:
        return read_sealed(file, keys)
    except UserError as error:
        raise missing(file) from error
