"""A folder that one process at a time works in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..core.console import say
from ..core.errors import UserError
from .files import make_folders, remove_empty

#: Name of the lock's file in its folder.
LOCK = "lock"


@contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """Hold a folder; a second process waits and says for what. A dead process's lock is free.

    Raises:
        UserError: the folder cannot be written, or its file system has no locks.
    """
    lock = FileLock(folder / LOCK)
    made: list[Path] = []
    try:
        made = make_folders(folder)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"another process works on {what}; waiting for it")
            lock.acquire()
    except (OSError, NotImplementedError) as error:
        if made:
            with suppress(OSError):
                (folder / LOCK).unlink(missing_ok=True)
            remove_empty(made)
        raise UserError(f"cannot lock {str(folder)!r}: {error}") from error
    try:
        yield
    finally:
        lock.release()


def busy(folder: Path) -> bool:
    """Whether another process holds a folder."""
    if not (folder / LOCK).exists():
        return False
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except Timeout:
        return True
