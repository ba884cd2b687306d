"""Checkpoints by path, known name, "org/repo:file" of the Hugging Face hub, or URL; each one's sha256 checked.

Where ``known_checkpoints.json`` pins no hash, the first use records it in ``checksums.json`` of the cache folder, and
every later use is held to it. Nothing is unpickled here.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import logging
import os
import re
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ..core.errors import UserError, did_you_mean
from .files import read_json, sha256_of, write_json

logger = logging.getLogger(__name__)

_WEIGHTS = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")
_HUB = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?(?::(?P<path>.*))?")


@dataclasses.dataclass(frozen=True)
class KnownCheckpoint:
    """One row of ``known_checkpoints.json``.

    Attributes:
        source: "org/repo@revision:file", "org/repo:folder/" where the file's name is not known, or a URL.
        sha256: of the file; None where it is not known.
        file: name under which a URL's content is kept.
        layout: layout for :func:`guidance_bench.load_backbone`; None for what is not a backbone.
        settings: what the tensors do not tell, as the official programs have it (num_heads, tap).
        license, note: as published, and what a user should know.
        bytes: of the file, to the digits that are known; of networks, their parameters in single precision.
    """

    name: str
    source: str
    sha256: str | None = None
    file: str | None = None
    layout: str | None = None
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    license: str | None = None
    note: str = ""
    bytes: int = 0


@functools.cache
def known_checkpoints() -> dict[str, KnownCheckpoint]:
    """The known checkpoints by name."""
    rows = json.loads(resources.files(__package__).joinpath("known_checkpoints.json").read_text(encoding="utf-8"))
    return {name: KnownCheckpoint(name, **row) for name, row in rows.items()}


def cache_folder() -> Path:
    """``GUIDANCE_BENCH_CACHE``, else ``~/.cache/guidance_bench``."""
    return Path(os.environ.get("GUIDANCE_BENCH_CACHE") or "~/.cache/guidance_bench").expanduser()


def is_offline() -> bool:
    """Whether ``GUIDANCE_BENCH_OFFLINE`` or ``HF_HUB_OFFLINE`` asks for no network."""
    values = (os.environ.get(name, "") for name in ("GUIDANCE_BENCH_OFFLINE", "HF_HUB_OFFLINE"))
    return any(value.strip().lower() in ("1", "true", "yes", "on") for value in values)


def fetch(source: str | Path, *, folder: str | Path | None = None, offline: bool | None = None) -> Path:
    """The local file (or folder) that ``source`` names, downloaded at most once.

    Args:
        source: a path; a name of :func:`known_checkpoints`; "org/repo:file" or "org/repo@revision:file" of the hub; an
            http(s) URL. A path that exists is taken as it is, without a check.
        folder: where downloads are kept; None: :func:`cache_folder`.
        offline: use no network; None: :func:`is_offline`.

    Raises:
        UserError: there is no such source; it cannot be reached (the message says which file to put where); the hub's
            file is not named (the message lists the names); or the file's sha256 is not the expected one.
    """
    text = str(source)
    known = known_checkpoints().get(text.lower())
    path = Path(text).expanduser()
    if isinstance(source, Path) or text.startswith((".", "/", "~")) or (known is None and path.exists()):
        return _local(path)
    cache = _made(Path(folder).expanduser() if folder is not None else cache_folder())
    offline = is_offline() if offline is None else offline
    address = known.source if known else text
    path = _obtain(address, known, cache, offline)
    _verify(path, address, known.sha256 if known else None, cache)
    return path


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A file that is or is not at hand.

    Attributes:
        source: as :func:`fetch` takes it.
        path: where it is, or where it should be put; a folder where the file's name is not known.
        address: where it can be had; "" for a path.
        bytes: its size where that is known, else 0.
        here: whether it is at hand.
    """

    source: str
    path: Path
    address: str
    bytes: int
    here: bool


def wanted(source: str, folder: str | Path | None = None) -> Wanted:
    """Where :func:`fetch` would find ``source``, or keep it; nothing is downloaded.

    Raises:
        UserError: no path, known name, hub file or URL.
    """
    known, path = known_checkpoints().get(source.lower()), Path(source).expanduser()
    if known is None and (path.exists() or source.startswith((".", "/", "~"))):
        return Wanted(source, path, "", 0, path.exists())
    address, size = (known.source, known.bytes) if known else (source, 0)
    cache = Path(folder).expanduser() if folder is not None else cache_folder()
    if address.startswith(("http://", "https://")):
        place = _place_of_url(address, known, cache)
        return Wanted(source, place, address, size, place.is_file())
    match = _HUB.fullmatch(address)
    if not match or (match["path"] is None and address.endswith(_WEIGHTS)):
        return Wanted(source, _obtain(address, known, cache, True), "", size, True)  # raises what fetch would
    repo, revision, inside = match["repo"], match["revision"], match["path"] or ""
    place = cache / (f"{repo}@{revision.replace('/', '-')}" if revision else repo) / inside
    named = bool(inside) and not inside.endswith("/")
    if not named:
        place = _sole(place) or place
    page = _page(repo, "resolve" if named else "tree", revision, inside)
    return Wanted(source, place, page, size, place.is_file())


def _local(path: Path) -> Path:
    if not path.exists():
        raise UserError(f"{str(path)!r} does not exist")
    return path


def _made(cache: Path) -> Path:
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cache folder {str(cache)!r}: {error.strerror}; set GUIDANCE_BENCH_CACHE to another"
        ) from error
    return cache


def _obtain(address: str, known: KnownCheckpoint | None, cache: Path, offline: bool) -> Path:
    if address.startswith(("http://", "https://")):
        return _from_url(address, known, cache, offline)
    match = _HUB.fullmatch(address)
    if match and (match["path"] is not None or not address.endswith(_WEIGHTS)):
        return _from_hub(match["repo"], match["revision"], match["path"] or "", cache, offline)
    names = known_checkpoints()
    raise UserError(
        f"checkpoint {address!r} is no file here, no known name ({', '.join(names)}), "
        f"no org/repo:file and no URL{did_you_mean(address, names)}"
    )


def _from_url(url: str, known: KnownCheckpoint | None, cache: Path, offline: bool) -> Path:
    target = _place_of_url(url, known, cache)
    if not target.is_file():
        if offline:
            raise UserError(f"offline: download {url} elsewhere and put it at {str(target)!r}")
        from .download import download

        download(url, target)
    return target


def _place_of_url(url: str, known: KnownCheckpoint | None, cache: Path) -> Path:
    parts = urlsplit(url)
    file = (known and known.file) or Path(unquote(parts.path)).name or "download"
    digest = hashlib.sha256(url.encode()).hexdigest()[:8]  # many checkpoints are called last.pt
    return cache / (known.name.replace("/", "-") if known else f"{parts.hostname}-{digest}") / file


def _from_hub(repo: str, revision: str | None, path: str, cache: Path, offline: bool) -> Path:
    if not path or path.endswith("/"):
        chosen = _sole(cache / (f"{repo}@{revision.replace('/', '-')}" if revision else repo) / path)
        if chosen is not None:
            return chosen
        raise UserError(_choices(repo, revision, path, offline))
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    place = cache / (f"{repo}@{revision.replace('/', '-')}" if revision else repo)
    if (place / path).is_file():
        return place / path
    cached = try_to_load_from_cache(repo, path, revision=revision)
    if isinstance(cached, str):
        return Path(cached)
    put = f"download {_page(repo, 'resolve', revision, path)} elsewhere and put it at {str(place / path)!r}"
    if offline:
        raise UserError(f"offline: {put}")
    try:
        return Path(hf_hub_download(repo, path, revision=revision, local_dir=place))
    except LocalEntryNotFoundError as error:
        raise UserError(f"the hub cannot be reached: {put}") from error
    except EntryNotFoundError as error:
        raise UserError(_choices(repo, revision, path.rpartition("/")[0], offline)) from error
    except Exception as error:  # the hub's client raises its own, its HTTP library's and the system's errors
        raise UserError(f"{repo}: {_one_line(error)}; or {put}") from error


def _sole(folder: Path) -> Path | None:
    """The weights file that somebody has put into the folder, where there is just one: nobody need know its name."""
    found = [p for p in sorted(folder.glob("*")) if p.suffix in _WEIGHTS and p.is_file()]
    return found[0] if len(found) == 1 else None


def _choices(repo: str, revision: str | None, folder: str, offline: bool) -> str:
    """The message that lists the files of a repository's folder."""
    page = _page(repo, "tree", revision, folder)
    if offline:
        return f"offline: {repo}:{folder} names no file; choose one on {page}, download it and give its path"
    from huggingface_hub import HfApi

    try:
        names = HfApi().list_repo_files(repo, revision=revision)
    except Exception as error:
        reason = f"cannot be listed ({_one_line(error)})"
        return f"{repo}:{folder} names no file and {reason}; choose one on {page}, download it and give its path"
    names = [n for n in names if n.startswith(folder)] or names
    names = [n for n in names if n.endswith(_WEIGHTS)] or names
    return f"{repo}:{folder} names no file; choose one: {', '.join(f'{repo}:{n}' for n in names[:20])}"


def _page(repo: str, view: str, revision: str | None, path: str) -> str:
    return f"https://huggingface.co/{repo}/{view}/{revision or 'main'}/{path}".rstrip("/")


def _one_line(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]


def _verify(path: Path, address: str, pinned: str | None, cache: Path) -> None:
    """Hold ``path`` to its pinned or recorded sha256, or record it."""
    from filelock import FileLock

    records, actual = cache / "checksums.json", sha256_of(path)
    if pinned is None:
        with FileLock(cache / "checksums.json.lock"):
            recorded: dict[str, str] = read_json(records) if records.is_file() else {}
            if address not in recorded:
                write_json(records, {**recorded, address: actual})
                logger.warning("%s: no sha256 is pinned; recorded %s in %s on first use", address, actual, records)
                return
            pinned = recorded[address]
        mend = f"if the change is wanted, remove its line from {str(records)!r}"
    else:
        mend = "download it again"
    if actual != pinned:
        raise UserError(f"{address}: sha256 is {actual}, expected {pinned}; {_set_aside(path, cache)}{mend}")


def _set_aside(path: Path, cache: Path) -> str:
    """Move a wrong file of ours out of the way; the hub's own cache is left alone."""
    if cache.resolve() not in path.resolve().parents:
        return f"{str(path)!r} is not used; "
    bad = path.with_name(f"{path.name}.bad")
    os.replace(path, bad)
    return f"moved to {str(bad)!r}; "
