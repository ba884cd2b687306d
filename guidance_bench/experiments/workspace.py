"""Where things lie in an output folder, and who may write there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, Timeout

from ..core.console import say, warn
from ..core.errors import UserError
from ..core.identity import canonical
from .records import read_record, record_files
from .specification import protocol_of

#: Stands for the records that come with the project.
COMMITTED = "committed"


class Workspace:
    """An output folder: ``<run_id>/record.json``, ``<run_id>/samples``, ``models/<recipe>``, ``features/<space>``,
    ``prepass/<hash>``, ``leaderboards/<benchmark>``.

    Args:
        folder: made where it is not there.
        records: a folder whose records count as done too, although their samples are not here; "committed": the
            project's own results.

    Raises:
        UserError: the folder cannot be made or written, or ``records`` does not exist.
    """

    def __init__(self, folder: str | Path, records: str | Path | None = None) -> None:
        self.folder = Path(folder).expanduser()
        self._elsewhere = {} if records is None else record_files(None if records == COMMITTED else records)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"output={str(folder)!r} cannot be written: {error.strerror}") from error
        if not os.access(self.folder, os.W_OK):
            raise UserError(f"output={str(folder)!r} cannot be written: permission denied")

    @property
    def models(self) -> Path:
        """Trained networks, by the hash of their recipes."""
        return self.folder / "models"

    def prepass(self, name: str) -> Path:
        """What a method has measured of a network."""
        return self.folder / "prepass" / name

    def features(self, benchmark: str) -> Path:
        """What a benchmark's evaluator keeps."""
        return self.folder / "features" / benchmark

    def leaderboard(self, benchmark: str) -> Path:
        """Tables, figures and the page of a benchmark."""
        return self.folder / "leaderboards" / benchmark

    def samples(self, run_id: str) -> Path:
        """The shards of a run."""
        return self.folder / run_id / "samples"

    def record_path(self, run_id: str) -> Path:
        """The record of a run."""
        return self.folder / run_id / "record.json"

    def record(self, run_id: str) -> dict[str, Any] | None:
        """The record of a run that is done, else None; :class:`UserError` for a corrupt one."""
        path = self.record_path(run_id)
        if run_id in self._elsewhere and not path.exists():
            return read_record(self._elsewhere[run_id])
        try:
            return read_record(path) if path.exists() else None
        except UserError as error:
            hint = "" if "delete" in str(error) else "; delete it to compute it again from the samples"
            raise UserError(f"{error}{hint}") from error

    def beside(self, records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The records given, and every other of this folder that is of the same protocols; unsound ones are left."""
        protocols = {canonical(protocol_of(record["spec"])) for record in records}
        found = {record["run_id"]: record for record in records}
        for path in sorted(self.folder.glob("*/record.json")):
            if path.parent.name in found:
                continue
            try:
                record = read_record(path)
            except UserError as error:
                warn(f"left out: {error}")
                continue
            if canonical(protocol_of(record["spec"])) in protocols:
                found[record["run_id"]] = record
        return list(found.values())

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold a piece of work alone; a second process waits, and says for what. A dead process's lock is free.

        Raises:
            UserError: the folder cannot be written, or its file system has no locks.
        """
        path = self.folder / name / "lock"
        lock = FileLock(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _acquire(lock, name)
        except (OSError, NotImplementedError) as error:
            raise UserError(f"cannot lock {str(path)!r}: {error}") from error
        try:
            yield
        finally:
            lock.release()


def _acquire(lock: BaseFileLock, name: str) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"another process works on {name}; waiting for it")
        lock.acquire()
