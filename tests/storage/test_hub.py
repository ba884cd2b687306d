"""Where a checkpoint comes from: paths, known names, the hub; hashes, and a clear word where there is no network."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from file_server import CONTENT, Server, serving

from guidance_bench.core.errors import UserError
from guidance_bench.networks.official_layouts import LAYOUTS
from guidance_bench.storage import hub
from guidance_bench.storage.hub import KnownCheckpoint, cache_folder, fetch, is_offline, known_checkpoints

SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of ours and of the hub, and no network by mistake."""
    for name in ("GUIDANCE_BENCH_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GUIDANCE_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *args, **kwargs: None)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", _unreachable)
    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_files", _unreachable)
    return tmp_path / "cache"


def _unreachable(*args: Any, **kwargs: Any) -> Any:
    raise ConnectionError("no network in tests")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


# -- sha256


def _know(monkeypatch: pytest.MonkeyPatch, **row: Any) -> None:
    monkeypatch.setattr(hub, "known_checkpoints", lambda: {"tiny/1": KnownCheckpoint("tiny/1", **row)})


def test_first_use_records_and_later_use_verifies(
    server: Server, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        path = fetch(server.url)
        fetch(server.url)
    assert json.loads((cache / "checksums.json").read_text()) == {server.url: SHA256}
    assert [SHA256 in record.getMessage() for record in caplog.records] == [True]
    path.write_bytes(CONTENT + b"!")
    with pytest.raises(UserError, match=f"expected {SHA256}; moved to .*model.pt.bad'; .*remove its line"):
        fetch(server.url)
    assert not path.exists()
    assert fetch(server.url).read_bytes() == CONTENT  # downloaded afresh, still held to the record
    assert len(json.loads((cache / "checksums.json").read_text())) == 1


def test_pinned_hash(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _know(monkeypatch, source=server.url, sha256=SHA256, file="tiny.pt")
    path = fetch("Tiny/1")
    assert path == cache / "tiny-1" / "tiny.pt" and path.read_bytes() == CONTENT
    assert not (cache / "checksums.json").exists()
    _know(monkeypatch, source=server.url, sha256="0" * 64, file="tiny.pt")
    with pytest.raises(
        UserError, match=f"sha256 is {SHA256}, expected 0{{64}}; moved to .*tiny.pt.bad'; download it again"
    ):
        fetch("tiny/1")
    assert not path.exists() and (cache / "tiny-1" / "tiny.pt.bad").read_bytes() == CONTENT


def test_messages_are_one_line(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    _know(monkeypatch, source=server.url, sha256="0" * 64)
    for source in ("tiny/1", "nothing", "org/repo", "org/repo:x.pt", server.url.replace("model", "missing")):
        with pytest.raises(UserError) as error:
            fetch(source)
        assert "\n" not in str(error.value) and len(str(error.value)) < 700


# -- offline


@pytest.mark.parametrize("name", ["GUIDANCE_BENCH_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_says_which_file_to_put_where(name: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    assert is_offline()
    place = cache / "org/repo@abc/models/x.pt"
    url = "https://huggingface.co/org/repo/resolve/abc/models/x.pt"
    with pytest.raises(UserError, match=f"^offline: download {url} elsewhere and put it at '{place}'$"):
        fetch("org/repo@abc:models/x.pt")
    place.parent.mkdir(parents=True)
    place.write_bytes(CONTENT)
    assert fetch("org/repo@abc:models/x.pt") == place
    with pytest.raises(UserError, match=r"offline: .*choose one on https://huggingface.co/org/repo/tree/main/models"):
        fetch("org/repo:models/")
    monkeypatch.setenv(name, "0")
    assert not is_offline()


def test_offline_known_url(cache: Path) -> None:
    with pytest.raises(UserError, match=r"^offline: download https://www.dl.dropbox") as error:
        fetch("SiT-XL/2", offline=True)
    place = cache / "sit-xl-2" / "SiT-XL-2-256x256.pt"
    assert str(error.value).endswith(f"put it at '{place}'")
    place.parent.mkdir(parents=True)
    place.write_bytes(CONTENT)
    assert fetch("sit-xl/2", offline=True) == place  # used, and its hash recorded
    assert list(json.loads((cache / "checksums.json").read_text()).values()) == [SHA256]


def test_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GUIDANCE_BENCH_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "guidance_bench"


# -- the Hugging Face hub


def test_hub_download(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def hf_hub_download(repo: str, path: str, *, revision: str | None, local_dir: Path) -> str:
        calls.append((repo, path, revision))
        (local_dir / path).parent.mkdir(parents=True)
        (local_dir / path).write_bytes(CONTENT)
        return str(local_dir / path)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", hf_hub_download)
    path = fetch("org/repo:models/x.pt")
    assert path == cache / "org/repo/models/x.pt" == fetch("org/repo:models/x.pt")
    assert fetch("org/repo@refs/pr/1:models/x.pt") == cache / "org/repo@refs-pr-1/models/x.pt"
    assert calls == [("org/repo", "models/x.pt", None), ("org/repo", "models/x.pt", "refs/pr/1")]


def test_hub_cache_is_used_but_never_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = tmp_path / "hf" / "x.pt"
    cached.parent.mkdir()
    cached.write_bytes(CONTENT)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *args, **kwargs: str(cached))
    assert fetch("org/repo:x.pt", offline=True) == cached
    _know(monkeypatch, source="org/repo:x.pt", sha256="0" * 64)
    with pytest.raises(UserError, match=r"x.pt' is not used; download it again"):
        fetch("tiny/1")
    assert cached.read_bytes() == CONTENT


FILES = [".gitattributes", "README.md", "SiT/a.pt", "SiT/b.safetensors", "Lightningdit/c.pt"]


@pytest.mark.parametrize(
    ("source", "listed"),
    [
        ("sit-xl/2+ig", ["CVLUESTC/Internal-Guidance:SiT/a.pt", "CVLUESTC/Internal-Guidance:SiT/b.safetensors"]),
        ("lightningdit-xl/1+ig", ["CVLUESTC/Internal-Guidance:Lightningdit/c.pt"]),
        ("org/repo", ["org/repo:SiT/a.pt", "org/repo:SiT/b.safetensors", "org/repo:Lightningdit/c.pt"]),
        ("org/repo:SiT/wrong.pt", ["org/repo:SiT/a.pt", "org/repo:SiT/b.safetensors"]),
    ],
)
def test_the_folder_is_listed_where_no_file_is_named(
    source: str, listed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub.errors import EntryNotFoundError

    def hf_hub_download(*args: Any, **kwargs: Any) -> str:
        raise EntryNotFoundError("404")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", hf_hub_download)
    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_files", lambda *args, **kwargs: FILES)
    with pytest.raises(UserError) as error:
        fetch(source)
    assert str(error.value).endswith(f" names no file; choose one: {', '.join(listed)}")


def test_hub_out_of_reach(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    where = f"elsewhere and put it at '{cache / 'org/repo/x.pt'}'"
    with pytest.raises(UserError, match=f"org/repo: no network in tests; or download .*/resolve/main/x.pt {where}"):
        fetch("org/repo:x.pt")
    with pytest.raises(UserError, match=r"cannot be listed \(no network in tests\); choose one on .*/tree/main,"):
        fetch("org/repo")

    def hf_hub_download(*args: Any, **kwargs: Any) -> str:
        raise LocalEntryNotFoundError("connection")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", hf_hub_download)
    with pytest.raises(UserError, match=f"the hub cannot be reached: download .* {where}"):
        fetch("org/repo:x.pt")


# -- local paths and the registry


def test_local_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "x.pt").write_bytes(b"anything")
    assert fetch("runs/x.pt") == Path("runs/x.pt")
    assert fetch("runs") == Path("runs") == fetch(Path("runs"))
    assert not (tmp_path / "cache").exists()  # a user's own file is not recorded
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="set GUIDANCE_BENCH_CACHE to another"):
        fetch("org/repo:x.pt", folder=tmp_path / "file" / "cache")
    for missing in ("./y.pt", Path("runs/y.pt"), "~/no/such/y.pt", "/no/such/y.pt"):
        with pytest.raises(UserError, match=r"y.pt' does not exist"):
            fetch(missing)
    with pytest.raises(UserError, match=r"'runs/y.pt' is no file here, no known name"):
        fetch("runs/y.pt")
    with pytest.raises(UserError, match="did you mean 'sit-xl/2'"):
        fetch("sit-xl2")


def test_known_checkpoints_are_well_formed() -> None:
    known = known_checkpoints()
    assert {"sit-xl/2", "sit-xl/2+ig", "lightningdit-xl/1+ig", "lightningdit-xl/1-800ep"} <= set(known)
    assert {"lightningdit-xl/1-64ep", "repa-sit-xl/2", "va-vae", "sd-vae-ema", "sd-vae-mse"} <= set(known)
    for row in known.values():
        assert row.name == row.name.lower()
        assert row.source.startswith("https://") or hub._HUB.fullmatch(row.source)["path"]  # type: ignore[index]
        assert row.sha256 is None or re.fullmatch("[0-9a-f]{64}", row.sha256)
        assert row.layout is None or row.layout in LAYOUTS
        assert set(row.settings) <= {"num_heads", "tap"} and bool(row.settings) == bool(row.layout)
