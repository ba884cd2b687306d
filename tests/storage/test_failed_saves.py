"""Disks that are full, folders that may not be written, locks: nothing half written stays, and it is said."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import pytest
import torch
from synthetic_store import aged, fill, shard

import guidance_bench as gb
from guidance_bench.experiments.workspace import Workspace
from guidance_bench.storage.files import atomic, write_json
from guidance_bench.storage.sample_store import SampleStore


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
