"""Files that come with a benchmark: where one is not sound, the project has to be installed again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from guidance_bench.core.errors import UserError
from guidance_bench.storage.files import read_sealed, sha256_of


def missing(file: Path) -> UserError:
    """What to raise for a file that is not there or not as it was made."""
    return UserError(f"{str(file)!r} is missing or damaged: install the project again")


def own_file(file: Path, sha256: str) -> Path:
    """The file itself, if it is there and has this hash.

    Raises:
        UserError: it is missing or damaged.
    """
    if not file.is_file() or sha256_of(file) != sha256:
        raise missing(file)
    return file


def into_folder(module: str, make: Callable[[Path], None]) -> None:
    """The command line ``python -m MODULE FOLDER`` of a module that makes a benchmark's files."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: python -m {module} FOLDER")
    try:
        make(Path(sys.argv[1]))
    except UserError as error:
        sys.exit(f"guidance-bench: {error}")


def read_own(file: Path, keys: Collection[str]) -> dict[str, Any]:
    """A sealed JSON with exactly these keys.

    Raises:
        UserError: it is missing or damaged.
    """
    try:
        return read_sealed(file, keys)
    except UserError as error:
        raise missing(file) from error
