"""One file over HTTP: resumed where it broke off, and only ever whole at its final name."""

from __future__ import annotations

import http.client
import os
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from filelock import FileLock

from ..core.console import bar
from ..core.errors import UserError

_CHUNK = 1 << 20
_TIMEOUT = 60.0  # seconds without a byte


def download(url: str, target: Path) -> None:
    """Fetch ``url`` into ``target`` unless it is there; several processes may ask at once.

    What has arrived lies in ``<target>.part`` until the file is whole; a later call goes on from there.

    Raises:
        UserError: the server cannot be reached, refuses, sends a web page, or the connection broke off.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f"{target.name}.lock")):
        if target.is_file():
            return
        part = target.with_name(f"{target.name}.part")
        _receive_all(url, part, target)
        _validator(part).unlink(missing_ok=True)
        os.replace(part, target)


def _receive_all(url: str, part: Path, target: Path) -> None:
    while True:
        before = _size(part)
        try:
            if _receive(url, part):
                return
            reason = "the connection was closed early"
        except HTTPError as error:
            if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not before:
                raise UserError(f"{url}: HTTP {error.code} {error.reason}; put the file at {str(target)!r}") from error
            part.unlink()  # longer than what the server has: another file
            continue
        except (OSError, http.client.HTTPException) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
        if _size(part) <= before:
            raise UserError(
                f"{url}: download failed after {_size(part)} bytes ({reason}); "
                f"run again to go on, or put the file at {str(target)!r}"
            )


def _receive(url: str, part: Path) -> bool:
    """Append one response to ``part``; whether the file is whole now."""
    have = _size(part)
    with urlopen(Request(url, headers=_headers(part, have)), timeout=_TIMEOUT) as response:
        if response.headers.get_content_type() == "text/html":
            raise UserError(f"{url}: the server sent a web page, not a file; open it in a browser and save the file")
        resumed = have > 0 and response.status == http.client.PARTIAL_CONTENT
        start = have if resumed else 0
        length = response.headers["Content-Length"]
        total = start + int(length) if length else None
        if not resumed:
            _validator(part).write_text(response.headers["ETag"] or response.headers["Last-Modified"] or "")
        shown = bar((total or 0) >> 10, f"download {part.stem}", "KiB", start >> 10)
        with shown as progress, part.open("ab" if resumed else "wb") as file:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                progress.update(len(chunk) / 1024)
    return total is None or _size(part) == total


def _headers(part: Path, have: int) -> dict[str, str]:
    headers = {"User-Agent": "guidance-bench"}
    if have:
        headers["Range"] = f"bytes={have}-"
        validator = _validator(part).read_text() if _validator(part).is_file() else ""
        if validator and not validator.startswith("W/"):
            headers["If-Range"] = validator  # a file that changed meanwhile is sent from its beginning
    return headers


def _validator(part: Path) -> Path:
    return part.with_name(f"{part.name}.etag")


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0
