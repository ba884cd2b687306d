from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from synthetic_store import COST, fill, flip, images_of, truncate

import guidance_bench as gb
from guidance_bench.experiments.workspace import Workspace
from guidance_bench.storage.files import atomic, sweep, write_json
from guidance_bench.storage.sample_store import SampleStore, Shard


def test_what_is_written_is_read(tmp_path):
    store = fill(tmp_path)
    assert store.blocks == [(0, 10), (10, 20), (20, 25)] and len(store) == 25
    assert store.missing() == []
    shards = list(store)
    assert np.array_equal(np.concatenate([s.images for s in shards]), images_of(0, 25, (6, 6, 3)))
    assert shards[2].labels.tolist() == [i * 7 % 10 for i in range(20, 25)] and shards[0].cost == COST


def test_the_digest_is_of_the_samples_not_of_the_blocks(tmp_path):
    digests = {fill(tmp_path / str(block), block=block).digest() for block in (1, 7, 10, 25)}
    total = hashlib.sha256()
    for i, image in enumerate(images_of(0, 25, (6, 6, 3))):
        total.update(image.tobytes() + (i * 7 % 10).to_bytes(8, "little"))
    assert digests == {total.hexdigest()}


def test_a_store_describes_itself(tmp_path):
    store = fill(tmp_path)
    (tmp_path / "samples" / "00000000-00000010.safetensors").write_bytes(b"")
    for folder in (tmp_path, tmp_path / "samples"):
        found = SampleStore.open(folder)
        assert (found.run_id, found.blocks, found.missing()) == (store.run_id, store.blocks, [(0, 10)])
    for empty in (tmp_path / "nothing", tmp_path / "samples" / "none"):
        with pytest.raises(gb.UserError, match="holds no samples"):
            SampleStore.open(empty)


def test_every_byte_of_a_shard_is_guarded(tmp_path, capsys):
    store = fill(tmp_path, count=4, block=4, shape=(2, 2, 1))
    path = store.path(0, 4)
    whole = path.read_bytes()
    for place in range(len(whole)):
        flip(path, place)
        assert store.missing() == [(0, 4)], f"byte {place} of {len(whole)} may change unseen"
        path.write_bytes(whole)
    assert "is damaged" in capsys.readouterr().err and store.missing() == []


def test_a_short_lost_or_foreign_shard_is_missing(tmp_path, capsys):
    store = fill(tmp_path)
    truncate(store.path(0, 10))
    store.path(10, 20).unlink()
    fill(tmp_path / "other", run_id="def").path(20, 25).replace(store.path(20, 25))
    assert store.missing() == store.blocks
    told = capsys.readouterr().err
    assert "00000000-00000010" in told and "00000020-00000025" in told and "00000010-00000020" not in told
    with pytest.raises(
        gb.UserError, match="00000000-00000010.safetensors' is missing or damaged: run the same command"
    ):
        store.digest()


def test_a_shard_cannot_stand_for_another(tmp_path):
    store = fill(tmp_path, count=20)
    store.path(0, 10).replace(store.path(10, 20))
    assert store.missing() == store.blocks


def test_leftovers_of_killed_processes_are_swept(tmp_path):
    store = fill(tmp_path)
    leftover = store.folder / ".00000000-00000010.safetensors.x7.tmp"
    leftover.write_bytes(b"half")
    sweep(store.folder)
    assert not leftover.exists() and store.missing() == []


# -- a look at what was read before


def aged(store, seconds=60):
    """The store as if its shards had been written a while ago."""
    for block in store.blocks:
        before = store.path(*block).stat()
        os.utime(store.path(*block), ns=(before.st_atime_ns, before.st_mtime_ns - seconds * 10**9))
    return store


def read_count(monkeypatch):
    count = []
    read = SampleStore._read
    monkeypatch.setattr(SampleStore, "_read", lambda self, *a: count.append(a) or read(self, *a))
    return count


def test_a_second_look_reads_no_pixel(tmp_path, monkeypatch):
    store = aged(fill(tmp_path))
    count = read_count(monkeypatch)
    first = store.digest()
    assert len(count) == 3
    again = SampleStore.open(tmp_path)
    assert again.digest() == first and again.missing() == [] and len(count) == 3
    assert again.digest(full=True) == first and len(count) == 6


def test_a_set_that_has_just_been_written_is_read_once_more(tmp_path, monkeypatch):
    """A file's time has ticks: a change within the same one would be unseen."""
    store = fill(tmp_path)
    count = read_count(monkeypatch)
    assert store.digest() == store.digest() and len(count) == 6


@pytest.mark.parametrize("change", ["content", "size", "time", "inode", "gone", "note", "note of other files"])
def test_any_doubt_reads_all(tmp_path, monkeypatch, change):
    store = aged(fill(tmp_path))
    first, path, note = store.digest(), store.path(10, 20), store.folder / "verified.json"
    if change == "content":
        flip(path, -5)
    elif change == "size":
        truncate(path)
    elif change == "time":
        os.utime(path)
    elif change == "inode":
        before = path.stat()
        path.rename(tmp_path / "old")
        path.write_bytes((tmp_path / "old").read_bytes())
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif change == "gone":
        path.unlink()
    elif change == "note":
        flip(note, 30)
    else:
        text = note.read_text().replace("00000010-00000020", "00000010-00000021")
        note.write_text(text)
    count = read_count(monkeypatch)
    if change in ("content", "size", "gone"):
        assert store.missing() == [(10, 20)] and len(count) == 3
        with pytest.raises(gb.UserError, match="is missing or damaged"):
            store.digest()
    else:
        assert store.digest() == first and len(count) == 3
        aged(store)
        assert store.digest() == first


def test_a_folder_that_cannot_be_written_is_looked_at_all_the_same(readable_by_all):
    store = aged(fill(readable_by_all))
    for folder in (readable_by_all, store.folder):
        folder.chmod(0o555)

    def work():
        as_nobody()
        assert store.digest() == store.digest()

    assert in_child(work) == "" and not (store.folder / "verified.json").exists()
    for folder in (readable_by_all, store.folder):
        folder.chmod(0o755)


# -- the door: any layout in, C-contiguous on disk


def permuted(images):
    """As a decoder gives them: torch's (N, C, H, W) memory seen as (N, H, W, C)."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).permute(0, 2, 3, 1).numpy()


LAYOUTS = {
    "contiguous": np.ascontiguousarray,
    "permuted": permuted,
    "fortran": np.asfortranarray,
    "mirrored": lambda images: np.ascontiguousarray(images[:, :, ::-1])[:, :, ::-1],
    "upside_down_channels": lambda images: np.ascontiguousarray(images[::-1, :, :, ::-1])[::-1, :, :, ::-1],
    "every_second": lambda images: images.repeat(2, 0)[::2],
    "read_only": lambda images: np.frombuffer(images.tobytes(), np.uint8).reshape(images.shape),
}


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_of_any_layout_are_kept(tmp_path, channels, layout):
    plain = fill(tmp_path / "plain", 10, 10, (5, 4, channels))
    images = LAYOUTS[layout](images_of(0, 10, (5, 4, channels)))
    assert np.array_equal(images, images_of(0, 10, (5, 4, channels)))
    store = SampleStore(tmp_path / "samples", "abc", 10, 10)
    labels = (np.arange(20, dtype=np.int32) // 2 * 7 % 10)[::2]
    store.write(Shard(0, 10, images, labels, COST))
    assert store.missing() == [] and store.digest() == plain.digest()
    assert np.array_equal(next(iter(store)).images, images)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((10, 6, 6, 3), np.float32)}, "samples are float32, a store keeps uint8"),
        ({"images": np.zeros((10, 6, 6, 3), np.int64)}, "samples are int64, a store keeps uint8"),
        ({"images": np.zeros((10, 3, 6, 6), np.uint8)}, r"shape \(10, 3, 6, 6\), a store keeps \(N, H, W, C\)"),
        ({"images": np.zeros((10, 6, 6), np.uint8)}, r"shape \(10, 6, 6\)"),
        ({"images": np.zeros((9, 6, 6, 3), np.uint8)}, "block 0-10 has 9 images and 10 labels"),
        ({"labels": np.zeros(9, np.int64)}, "block 0-10 has 10 images and 9 labels"),
        ({"labels": np.zeros(10)}, r"labels are float64 \(10,\)"),
        ({"labels": np.zeros((10, 1), np.int64)}, r"labels are int64 \(10, 1\)"),
    ],
)
def test_what_is_no_sample_is_refused_before_anything_is_made(tmp_path, change, message):
    store = SampleStore(tmp_path / "samples", "abc", 10, 10)
    with pytest.raises(gb.UserError, match=message):
        store.write(dataclasses.replace(shard(), **change))
    assert not store.folder.exists()


def test_a_shard_is_read_back_before_it_is_called_written(tmp_path, monkeypatch):
    """A writer that puts an array's memory down as it lies, or a disk that turns a bit."""
    store = fill(tmp_path)
    before = store.path(0, 10).read_bytes()

    def save(tensors, path, metadata):
        save_file(tensors, path, metadata)
        flip(path, -1)

    monkeypatch.setattr("guidance_bench.storage.sample_store.save_file", save)
    with pytest.raises(gb.UserError, match=r"00000000-00000010.safetensors' is not read back as it was written"):
        store.write(shard())
    assert store.path(0, 10).read_bytes() == before and not list(store.folder.glob(".*"))


@pytest.mark.parametrize("mask", [0o077, 0o022, 0o002])
def test_the_files_mode_follows_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_json(tmp_path / "x.json", {})
    finally:
        os.umask(before)
    assert (tmp_path / "x.json").stat().st_mode & 0o777 == 0o666 & ~mask


# -- saves that fail


def shard():
    return Shard(0, 10, images_of(0, 10, (6, 6, 3)), np.zeros(10, np.int64), COST)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_save_is_fatal_and_leaves_the_old_file(tmp_path, monkeypatch, call, number):
    store = fill(tmp_path)
    before = store.path(0, 10).read_bytes()

    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(gb.UserError, match=f"cannot write .*00000000-00000010.*{os.strerror(number)}"):
        store.write(shard())
    monkeypatch.undo()
    assert store.path(0, 10).read_bytes() == before
    assert not list(store.folder.glob(".*"))


def in_child(work) -> str:
    """Run ``work`` in a forked process; what it raised as text, or an empty string."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work()
            text = ""
        except BaseException as error:
            text = f"{type(error).__name__}: {error}" if isinstance(error, gb.UserError) else traceback.format_exc()
        os.write(writer, text.encode()[:4000])
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as file:
        return file.read()


WRITERS = {
    "shard": lambda folder: SampleStore(folder, "abc", 10, 10).write(shard()),
    "json": lambda folder: write_json(folder / "record.json", {"x": ["y" * 5000]}),
    "torch": lambda folder: write_torch(folder / "resume.pt"),
}


def write_torch(path):
    with atomic(path) as temporary:
        torch.save({"x": torch.zeros(5000)}, temporary)


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_system_that_takes_no_more_is_said_and_nothing_half_written_stays(tmp_path, kind):
    """The real thing: the system refuses the write in the middle of the file, in whichever library is writing."""

    def work():
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))
        WRITERS[kind](tmp_path)

    told = in_child(work)
    assert told.startswith("UserError: cannot write") and str(tmp_path) in told and "\n" not in told.strip()
    assert not list(tmp_path.iterdir())


@pytest.fixture
def readable_by_all():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def as_nobody():
    if os.getuid() == 0:
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)


def test_a_read_only_folder_is_said(readable_by_all):
    def work():
        as_nobody()
        WRITERS["shard"](readable_by_all / "samples")

    def begin():
        as_nobody()
        Workspace(readable_by_all / "out")

    def lock():
        as_nobody()
        with workspace.lock("run"):
            pass

    workspace = Workspace(readable_by_all)
    os.chmod(readable_by_all, 0o555)
    assert "cannot write" in in_child(work) and "Permission denied" in in_child(work)
    assert in_child(begin).startswith("UserError: output=")
    assert in_child(lock).startswith("UserError: cannot lock")
    os.chmod(readable_by_all, 0o755)


def test_a_shard_that_may_not_be_read_counts_as_missing(readable_by_all):
    store = fill(readable_by_all)
    store.path(0, 10).chmod(0o000)

    def work():
        as_nobody()
        assert store.missing() == [(0, 10)]

    assert in_child(work) == ""


@pytest.mark.parametrize("killed", [False, True])
def test_a_second_process_waits_for_the_lock_and_says_so(tmp_path, capfd, killed):
    workspace = Workspace(tmp_path)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with workspace.lock("abc"):
            os.write(writer, b"x")
            time.sleep(0.5)
            if killed:
                os.kill(os.getpid(), signal.SIGKILL)
        os._exit(0)
    os.read(reader, 1)
    started = time.monotonic()
    with workspace.lock("abc"):
        assert time.monotonic() - started > 0.2
    os.waitpid(child, 0)
    assert capfd.readouterr().out.count("another process works on abc; waiting for it") == 1
