"""Files that are either whole or not there."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic_core import from_json
from safetensors import SafetensorError

from ..core.errors import UserError

SUFFIX = ".tmp"
NAME = 255  # bytes of a file's name, on every file system in use
IDLE = 600.0  # seconds without a change after which a temporary file is that of a dead process
SEAL = "seal"


def umask() -> int:
    """The process's umask, which can be read only by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def check_writable(path: Path) -> None:
    """Raise :class:`UserError` where a file could not be made, before there is work to lose; nothing is made."""
    if any(len(os.fsencode(part)) > NAME for part in path.parts[1:]):  # a system tells only where the folder is there
        raise UserError(f"cannot write {short(path)}: File name too long")
    try:
        if path.is_dir():
            raise UserError(f"cannot write {short(path)}: it is a folder")
        place = next(folder for folder in path.absolute().parents if folder.exists())
    except OSError as error:
        raise UserError(f"cannot write {short(path)}: {error.strerror or error}") from error
    if not place.is_dir():
        raise UserError(f"cannot write {short(path)}: {str(place)!r} is no folder")
    if not os.access(place, os.W_OK):
        raise UserError(f"cannot write {short(path)}: permission denied in {str(place)!r}")


def short(path: str | Path) -> str:
    """A path in quotes for a message, its middle left out where it is long."""
    text = str(path)
    return repr(text if len(text) <= 2 * NAME else f"{text[:60]}...{text[-60:]}")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary path in the same folder; on success it replaces ``path`` in one step, on failure it is removed.

    So are the folders that were made for it. What a killed process left of the same file goes, too.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    beginning = f".{path.name[:100]}."
    made: list[Path] = []
    try:
        made = make_folders(path.parent)
        sweep(path.parent, beginning, IDLE)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=beginning, suffix=SUFFIX)
        os.close(handle)
    except OSError as error:
        remove_empty(made)
        raise UserError(f"cannot write {short(path)}: {error.strerror or error}") from error
    temporary = Path(name)
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        _flush_folder(path.parent)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise UserError(f"cannot write {short(path)}: {_reason(error)}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if not path.exists():
            remove_empty(made)


def make_folders(folder: Path) -> list[Path]:
    """Make a folder and those above it; the new ones, the innermost first."""
    new = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        remove_empty(new)
        raise
    return new


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders that hold nothing, the innermost first; others stay."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    text = " ".join(str(error).split())
    if isinstance(error, RuntimeError) and "PytorchStreamWriter" not in text and "unexpected pos" not in text:
        raise error  # not torch.save's way of saying that the disk is full
    return text


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDWR)
    try:
        if hasattr(os, "fchmod"):  # not on Windows, which has no such modes
            os.fchmod(handle, 0o666 & ~umask())
        os.fsync(handle)
    finally:
        os.close(handle)


def _flush_folder(folder: Path) -> None:
    """Make the new name survive a power cut, where the file system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sweep(folder: Path, beginning: str = ".", idle: float = 0.0, *, deep: bool = False) -> None:
    """Remove what killed processes have left half written.

    Args:
        folder: where; for the one process that writes there, unless ``idle`` is given.
        beginning: of the names.
        idle: seconds for which a file must have been left alone.
        deep: whether to look into the folders inside as well.
    """
    pattern = f"{glob.escape(beginning)}*{SUFFIX}"
    latest = time.time() - idle
    for leftover in folder.rglob(pattern) if deep else folder.glob(pattern):
        with suppress(OSError):
            if leftover.stat().st_mtime <= latest or not idle:
                leftover.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically; NaN and infinities are refused."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON; :class:`UserError` names a file that is missing or not JSON."""
    try:
        return from_json(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{str(path)!r} does not exist") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{str(path)!r} is not a readable JSON file: {error}") from error


def write_sealed(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object atomically with a hash of its contents inside, for :func:`read_sealed`."""
    write_json(path, {**value, SEAL: _seal(value)})


def read_sealed(path: Path, keys: Collection[str]) -> dict[str, Any]:
    """Read a JSON object with exactly these keys; :class:`UserError` where a byte of its values has changed.

    A file without a seal is one of an earlier version: its keys alone are checked.
    """
    try:
        value = read_json(path)
    except UserError:
        value = None
    seal = value.pop(SEAL, None) if isinstance(value, dict) else None
    if not isinstance(value, dict) or set(value) != set(keys) or seal not in (None, _seal(value)):
        raise UserError(f"{str(path)!r} is damaged: delete the folder {str(path.parent)!r} to make it again")
    return value


def _seal(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Hash of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(file)


def _digest(file: Any) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()
