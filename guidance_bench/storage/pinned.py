"""A file that was expensive to make, pinned by the sealed JSON beside it: made once, checked at every later use."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from ..core.errors import UserError
from .files import read_sealed, sha256_of, write_sealed


def pinned(
    file: Path,
    pin: Path,
    keys: Collection[str],
    make: Callable[[], dict[str, Any]],
    *,
    key: str = "sha256",
    again: str = "",
) -> dict[str, Any]:
    """What the pin says of ``file``, which is made where the pin is not there yet.

    The pin is written last, so its presence says that the file is whole.

    Args:
        file: what is pinned.
        pin: the sealed JSON beside it.
        keys: exactly the names that the pin holds.
        make: writes ``file`` and returns everything that the pin says but the hash.
        key: name of the hash of ``file`` in the pin.
        again: what to do to have it made again; "": delete the folder.

    Raises:
        UserError: the pin or the file is damaged, or the file is gone.
    """
    if not pin.exists():
        facts = make()
        write_sealed(pin, {**facts, key: sha256_of(file)})
    known = read_sealed(pin, keys)
    if not file.exists() or sha256_of(file) != known[key]:
        raise UserError(
            f"{str(file)!r} does not fit its {pin.name}: "
            f"{again or f'delete the folder {str(file.parent)!r} to make it again'}"
        )
    return known
