"""Downloads over HTTP: whole, once, and resumed where they broke off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from file_server import CONTENT, Server, serving

from guidance_bench.core.errors import UserError
from guidance_bench.storage import download
from guidance_bench.storage.hub import fetch


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("GUIDANCE_BENCH_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GUIDANCE_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _one(folder: Path, name: str) -> Path:
    (path,) = folder.rglob(name)
    return path


def test_url_is_downloaded_once(server: Server, cache: Path) -> None:
    path = fetch(server.url)
    assert path.name == "model.pt" and path.read_bytes() == CONTENT and cache in path.parents
    assert fetch(server.url) == path and server.asked == [None]
    assert not list(cache.rglob("*.part*"))


def test_two_urls_of_one_name_do_not_collide(server: Server) -> None:
    assert fetch(server.url) != fetch(server.url + "2")


def test_folder_argument(server: Server, tmp_path: Path) -> None:
    assert tmp_path / "mine" in fetch(server.url, folder=tmp_path / "mine").parents


def test_broken_connection_is_resumed_at_once(server: Server) -> None:
    server.broken = [300_000, 400_000]
    assert fetch(server.url).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-", "bytes=700000-"]


def test_broken_download_is_resumed_by_the_next_call(server: Server, cache: Path) -> None:
    server.broken = [300_000, 0]
    with pytest.raises(UserError, match=r"failed after 300000 bytes .*run again to go on"):
        fetch(server.url)
    assert _one(cache, "model.pt.part").read_bytes() == CONTENT[:300_000] and not list(cache.rglob("model.pt"))
    assert fetch(server.url).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-", "bytes=300000-"]


def test_file_that_changed_meanwhile_starts_again(server: Server) -> None:
    server.broken = [300_000, 0]
    with pytest.raises(UserError):
        fetch(server.url)
    server.content, server.etag = CONTENT[::-1], '"2"'
    assert fetch(server.url).read_bytes() == CONTENT[::-1]


def test_server_without_ranges_starts_again(server: Server) -> None:
    server.ranges, server.broken = False, [300_000]
    assert fetch(server.url).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-"]


@pytest.mark.parametrize("size", [len(CONTENT), len(CONTENT) + 5])
def test_part_as_long_as_the_file_starts_again(server: Server, tmp_path: Path, size: int) -> None:
    (tmp_path / "model.pt.part").write_bytes(b"x" * size)
    download.download(server.url, tmp_path / "model.pt")
    assert (tmp_path / "model.pt").read_bytes() == CONTENT
    assert server.asked == [f"bytes={size}-", None]


def test_refusals_name_the_url(server: Server, cache: Path) -> None:
    with pytest.raises(UserError, match=r"missing\.pt\?key=1: HTTP 404 .*; put the file at '.*missing\.pt'"):
        fetch(server.url.replace("model", "missing"))
    server.content_type = "text/html; charset=utf-8"
    with pytest.raises(UserError, match="the server sent a web page"):
        fetch(server.url)
    server.shutdown()
    server.server_close()
    with pytest.raises(UserError, match=r"failed after 0 bytes .*put the file at '.*model.pt'"):
        fetch(server.url)
    assert not list(cache.rglob("*.pt"))
