"""Folders as they lie on people's disks: what is read, what is left out and said, and one rule for each oddity."""

from __future__ import annotations

import os
import struct
import zlib

import numpy as np
import pytest
from fake_features import pictures
from PIL import Image

from guidance_bench.core.errors import UserError
from guidance_bench.storage.image_files import list_images
from guidance_bench.storage.image_sets import open_images


def read(path):
    return np.concatenate(list(open_images(path).batches(4)))


def test_every_format_that_pillow_reads_is_read_and_counted(tmp_path, capsys):
    images = pictures(0, 7)
    endings = (".png", ".bmp", ".tif", ".TIFF", ".webp", ".ppm", ".tga")
    for i, (image, ending) in enumerate(zip(images, endings, strict=True)):
        Image.fromarray(image).save(tmp_path / f"{i}{ending}", **({"lossless": True} if ending == ".webp" else {}))
    assert np.array_equal(read(tmp_path), images)
    line = capsys.readouterr().out
    assert line == (f"{str(tmp_path)!r}: 7 images (1 .bmp, 1 .png, 1 .ppm, 1 .tga, 1 .tif, 1 .tiff, 1 .webp)\n")


def test_what_is_no_image_of_the_set_is_left_out_and_said(tmp_path, capsys):
    images = pictures(1, 3)
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / "cats/.cache").mkdir(parents=True)
    for name, image in zip(("a.png", "cats/b.jpg", "c.png"), images, strict=True):
        Image.fromarray(image).save(tmp_path / name)
    for name in (".ipynb_checkpoints/a-checkpoint.png", "cats/.cache/x.png", ".a.png.Xy12.png", "~c.png", "d.part.png"):
        Image.fromarray(images[0]).save(tmp_path / name)
    (tmp_path / "._a.png").write_bytes(b"\x00\x05\x16\x07macOS")
    for name in ("labels.csv", "notes.txt", "more.txt", "LICENSE", "e.png.crdownload", "figure.eps", "x.h5"):
        (tmp_path / name).write_text("x")
    source = open_images(tmp_path)
    assert len(source) == 3 and np.array_equal(next(source.batches(1))[0], images[0])
    left = {".csv": 1, ".eps": 1, ".h5": 1, ".txt": 2, "hidden": 4, "unfinished": 3, "without ending": 1}
    assert source.left_out == left
    told = capsys.readouterr().out
    assert (
        "3 images (1 .jpg, 2 .png); left out: 1 .csv, 1 .eps, 1 .h5, 2 .txt, 4 hidden, 3 unfinished, 1 without" in told
    )


def test_a_hidden_folder_that_is_named_itself_is_read(tmp_path):
    folder = tmp_path / ".data/set"
    folder.mkdir(parents=True)
    for i, image in enumerate(pictures(2, 2)):
        Image.fromarray(image).save(folder / f"{i}.png")
    assert len(open_images(folder)) == 2


def test_a_folder_without_an_image_says_what_is_there(tmp_path):
    (tmp_path / "x.txt").write_text("")
    with pytest.raises(UserError, match=r"holds 0 images; left out: 1 \.txt; at least 2"):
        open_images(tmp_path)


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_said(tmp_path):
    (tmp_path / "a").mkdir(mode=0o000)
    with pytest.raises(UserError, match="cannot be read"):
        list_images(tmp_path)


# -- sixteen bits: refused, whatever the channels


def png(path, depth: int, colour: int, channels: int):
    """A PNG of any bit depth and colour type, which Pillow does not write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + bytes(8 * channels * depth // 8) for _ in range(8))
    header = struct.pack(">IIBBBBB", 8, 8, depth, colour, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (4, 2), (2, 3), (6, 4)])
def test_sixteen_bits_are_refused_with_alpha_and_without(tmp_path, colour, channels):
    for i in range(2):
        png(tmp_path / f"{i}.png", 8, colour, channels)
    assert read(tmp_path).shape == (2, 8, 8, 3)
    png(tmp_path / "1.png", 16, colour, channels)
    with pytest.raises(UserError, match=r"1\.png' has (16 bits a channel|pixels of kind 'I;16').* needed"):
        read(tmp_path)


@pytest.mark.parametrize("mode", ["I;16", "F", "I"])
def test_other_files_of_more_than_eight_bits_are_refused(tmp_path, mode):
    for i in range(2):
        Image.new(mode, (8, 8)).save(tmp_path / f"{i}.tif")
    with pytest.raises(UserError, match=r"0\.tif' has pixels of kind"):
        read(tmp_path)


# -- EXIF, frames, bombs


def test_exif_rotation_is_not_applied(tmp_path):
    """As ADM's and torchvision's readers: pixels as they are stored."""
    image = Image.fromarray(pictures(3, 1, size=16)[0].repeat(2, 0))  # 32 x 16
    exif = Image.Exif()
    exif[274] = 6  # turned by a quarter
    for i in range(2):
        image.save(tmp_path / f"{i}.png", exif=exif)
    images = read(tmp_path)
    assert images.shape == (2, 32, 16, 3) and np.array_equal(images[0], np.asarray(image))


@pytest.mark.parametrize("ending", [".gif", ".webp", ".tif", ".png"])
def test_several_frames_are_refused(tmp_path, ending):
    frames = [Image.fromarray(p) for p in pictures(4, 3)]
    frames[0].save(tmp_path / f"a{ending}")
    frames[0].save(tmp_path / f"b{ending}", save_all=True, append_images=frames[1:])
    with pytest.raises(UserError, match=rf"b\{ending}' has 3 frames; one picture a file is needed"):
        read(tmp_path)


def test_a_file_of_another_format_than_its_ending_says_is_read_unless_it_is_a_program(tmp_path):
    images = pictures(5, 2)
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{i}.png", format="BMP")
    assert np.array_equal(read(tmp_path), images)
    (tmp_path / "0.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")
    with pytest.raises(UserError, match="cannot be decoded as an image"):
        read(tmp_path)


def test_an_image_too_large_to_be_true_is_a_sentence(tmp_path, monkeypatch):
    for i, image in enumerate(pictures(6, 2)):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(UserError, match=r"0\.png' cannot be decoded as an image: Image size \(64 pixels\)"):
        read(tmp_path)
