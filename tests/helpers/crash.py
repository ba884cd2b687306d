"""A process that is killed, or finds the disk full, at its n-th write, by Python's audit events."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: What changes names in a folder; files opened for writing and what is flushed come besides.
EVENTS = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.link")
WRITING = os.O_WRONLY | os.O_RDWR

#: What a full disk refuses; "half" is the flush of a file.
NEED_SPACE = ("open", "os.mkdir", "half")

#: What happens at a point: takes the event and the file, comes back where the job shall go on.
Act = Callable[[str, str], None]


def kill(event: str, path: str) -> None:
    """The process dies before the event; where a file's contents are flushed, with half of them written."""
    if event == "half":
        os.truncate(path, os.path.getsize(path) // 2)
    os.kill(os.getpid(), signal.SIGKILL)


def disk_full(event: str, path: str) -> None:
    """Nothing can be made or written any more; names can go."""
    if event in NEED_SPACE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def watch(folder: Path, log: Path, point: int, act: Act, lasting: bool) -> None:
    """Note each write below ``folder`` in ``log``, a line each, and let ``act`` happen at the ``point``-th (0: never).

    Args:
        lasting: and at each after it.
    """
    home, count = str(folder), 0
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    busy = False

    def write(event: str, path: str) -> None:
        nonlocal count, busy
        if busy or not path.startswith(home):
            return
        count += 1
        busy = True
        os.write(handle, f"{event} {path[len(home) :]}\n".encode())
        try:
            if point and (count == point or (lasting and count > point)):
                act(event, path)
        finally:
            busy = False

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in EVENTS or (event == "open" and arguments[2] & WRITING):
            write(event, os.fspath(arguments[0]) if isinstance(arguments[0], (str, os.PathLike)) else "")

    fsync = os.fsync

    def flush(descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if os.path.isfile(path):
            write("half", path)
        write("fsync", path)
        fsync(descriptor)

    os.fsync = flush
    sys.addaudithook(hook)
