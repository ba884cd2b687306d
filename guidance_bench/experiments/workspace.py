"""Where things lie in an output folder, and who may write there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..core.console import warn
from ..core.errors import UserError
from ..core.identity import canonical
from ..storage.files import check_writable, remove_empty, short, sweep
from ..storage.folder_lock import LOCK, alone, busy
from .records import read_record, record_files
from .specification import protocol_of

#: Stands for the records that come with the project.
COMMITTED = "committed"


def output_of(place: Path) -> Path:
    """The output folder that is, or that holds, a record, a run or some records: known by what runs share in it.

    ``outputs`` where there is none.
    """
    near = (place, *place.parents[:2])
    return next((f for f in near if any((f / name).is_dir() for name in ("models", "features"))), Path("outputs"))


class Workspace:
    """An output folder: ``<run_id>/record.json``, ``<run_id>/samples``, ``models/<recipe>``, ``features/<space>``,
    ``prepass/<hash>``, ``leaderboards/<benchmark>``.

    Args:
        folder: made with the first thing that is kept in it.
        records: a folder whose records count as done too, although their samples are not here; "committed": the
            project's own results.

    Raises:
        UserError: the folder could not be made or written, or ``records`` does not exist.
    """

    def __init__(self, folder: str | Path, records: str | Path | None = None) -> None:
        self.folder = Path(folder).expanduser()
        self._elsewhere = {} if records is None else record_files(None if records == COMMITTED else records)
        try:
            self._new = not self.folder.exists()
            check_writable(self.folder / "record.json")
        except (UserError, OSError) as error:
            raise UserError(f"output={short(folder)} cannot be written: {_why(error)}") from error

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

    def has(self, run_id: str) -> bool:
        """Whether the record of a run is there, sound or not."""
        return self.record_path(run_id).exists() or run_id in self._elsewhere

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

    def busy(self, name: str) -> bool:
        """Whether another process works on this piece."""
        return busy(self.folder / name)

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold a piece of work alone; a second process waits, and says for what. A dead process's lock is free.

        What a killed process has left half written in the folder is removed first. Where the work is refused or
        stopped before it has kept anything, its folder goes again.

        Raises:
            UserError: the folder cannot be written, or its file system has no locks.
        """
        place = self.folder / name
        with alone(place, name):
            try:
                sweep(place, deep=True)
                yield
            except BaseException:
                self._discard(place)
                raise

    def _discard(self, place: Path) -> None:
        """Remove a locked folder that holds nothing else; who waits for the lock then makes it anew."""
        if [path.name for path in place.iterdir()] == [LOCK]:
            (place / LOCK).unlink(missing_ok=True)
            between = [folder for folder in place.parents if self.folder in folder.parents]
            remove_empty([place, *between, *([self.folder] if self._new else [])])


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error).partition(": ")[2]
