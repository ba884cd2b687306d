"""What was found sound, remembered by the files' size, time and inode, so that a look need not read them again."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ..core.errors import UserError
from .files import read_sealed, sha256_of, write_sealed

NAME = "verified.json"
KEYS = ("digest", "files", "time")
#: A file that changed so shortly before it was looked at may change again within one tick of its clock.
RACE_NS = 2_000_000_000

#: Size, time of the last change in nanoseconds, inode.
State = tuple[int, int, int]

_hashes: dict[tuple[str, State], str] = {}


def state_of(path: Path) -> State | None:
    """What tells whether a file is still the one that was read; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def file_sha256(path: Path) -> str:
    """Hash of a file's bytes, hex; within a process that of a file with the same size, time and inode is remembered."""
    state = state_of(path)
    if state is None:
        return sha256_of(path)  # raises what reading raises
    key = (str(path.resolve()), state)
    if key not in _hashes:
        _hashes[key] = sha256_of(path)
    return _hashes[key]


class Verified:
    """The sealed file ``verified.json`` beside a set of files: what they were when all of them were read and sound.

    It says what one program saw on one disk. Copied elsewhere, its inodes fit no file and it is worth nothing.

    Args:
        folder: where the files lie.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    def digest(self, states: Mapping[str, State | None]) -> str | None:
        """The digest of just these files, or None where one of them is not known to be what it was."""
        try:
            known = read_sealed(self.path, KEYS)
            same = {name: tuple(state) for name, state in known["files"].items()} == dict(states)
            settled = all(state[1] < known["time"] - RACE_NS for state in known["files"].values())
        except (UserError, AttributeError, TypeError, IndexError):
            return None
        return str(known["digest"]) if same and settled else None

    def remember(self, digest: str, states: Mapping[str, State | None], now_ns: int) -> None:
        """Note that these files, read at ``now_ns`` or later, were sound; a folder that is read-only gets no note."""
        with suppress(UserError):
            write_sealed(self.path, {"digest": digest, "files": states, "time": now_ns})

    @staticmethod
    def now() -> int:
        """The clock that file times are compared with."""
        return time.time_ns()
