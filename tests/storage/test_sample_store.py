"""Stores of samples: what is written is read, damage is seen, any layout of images is taken."""

from __future__ import annotations

import dataclasses
import hashlib
import os

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from synthetic_store import COST, aged, fill, flip, images_of, shard, truncate

import guidance_bench as gb
from guidance_bench.storage.files import sweep, write_json
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
