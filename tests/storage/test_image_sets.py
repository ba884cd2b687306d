"""Reading images: the same pixels from a folder, a .npz and a sample store; one line for every bad input."""

from __future__ import annotations

import numpy as np
import pytest
from fake_features import pictures
from PIL import Image
from safetensors.numpy import save_file

from guidance_bench.core.errors import UserError
from guidance_bench.storage.image_sets import ArrayImages, DatasetImages, open_images


def read(path, size=3):
    source = open_images(path)
    batches = list(source.batches(size))
    assert sum(map(len, batches)) == len(source)
    assert all(0 < len(batch) <= size for batch in batches)
    return np.concatenate(batches)


def write_folder(folder, images):
    for i, image in enumerate(images):
        file = folder / f"part{i % 2}" / f"{i:03}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(file)
    return folder


def test_folder_in_order_of_paths(tmp_path):
    images = pictures(0, 7)
    write_folder(tmp_path, images)
    assert np.array_equal(read(tmp_path), np.concatenate([images[::2], images[1::2]]))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("size", [1, 3, 100])
def test_npz_is_streamed(tmp_path, save, size):
    images = pictures(1, 7)
    save(tmp_path / "samples.npz", images, np.arange(7))
    assert np.array_equal(read(tmp_path / "samples.npz", size), images)


def test_sample_store(tmp_path):
    images = pictures(2, 7)
    for folder in (tmp_path / "store", tmp_path / "run/samples"):
        folder.mkdir(parents=True)
        for start in (0, 4):
            tensors = {
                "images": images[start : start + 4],
                "labels": np.zeros(len(images[start : start + 4]), np.int64),
            }
            save_file(tensors, folder / f"{start:08d}.safetensors")
    assert np.array_equal(read(tmp_path / "store"), images)
    assert np.array_equal(read(tmp_path / "run"), images)


def test_array():
    images = pictures(3, 5)
    assert np.array_equal(np.concatenate(list(ArrayImages(images).batches(2))), images)


def test_dataset():
    images = pictures(3, 5)
    for items in (images, [Image.fromarray(i) for i in images], [(Image.fromarray(i), 7) for i in images]):
        assert np.array_equal(np.concatenate(list(DatasetImages(items).batches(2))), images)
    with pytest.raises(UserError, match="'dataset' holds float32"):
        next(DatasetImages(images.astype(np.float32)).batches(2))


def test_jpeg_grey_and_transparent(tmp_path):
    colour = Image.fromarray(pictures(4, 1)[0])
    colour.save(tmp_path / "a.JPEG", quality=95)
    colour.convert("L").save(tmp_path / "b.png")
    colour.convert("RGBA").save(tmp_path / "c.png")
    images = read(tmp_path)
    assert images.shape == (3, 8, 8, 3)
    assert np.array_equal(images[1][..., 0], images[1][..., 2])
    assert np.array_equal(images[2], np.asarray(colour))


def bad_folder(tmp_path):
    images = pictures(5, 3)
    write_folder(tmp_path, images)
    return tmp_path


def test_image_that_does_not_decode(tmp_path):
    file = bad_folder(tmp_path) / "part1/001.png"
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(UserError, match=r"part1/001\.png' cannot be decoded as an image"):
        read(tmp_path)
    file.write_text("not an image")
    with pytest.raises(UserError, match=r"part1/001\.png' cannot be decoded as an image"):
        read(tmp_path)


def test_image_of_another_size(tmp_path):
    Image.fromarray(pictures(6, 1, size=16)[0]).save(bad_folder(tmp_path) / "part1/001.png")
    with pytest.raises(UserError, match=r"part1/001\.png' is 16 x 16 but .*part0/000\.png' is 8 x 8"):
        read(tmp_path)


def test_sixteen_bits(tmp_path):
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(bad_folder(tmp_path) / "part1/001.png")
    with pytest.raises(UserError, match=r"part1/001\.png' has pixels of kind 'I;16'"):
        read(tmp_path)


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"arr_0": np.zeros((4, 8, 8, 3), np.float32)}, "bad.npz' holds float32; images must be uint8"),
        ({"arr_0": np.zeros((4, 3, 8, 8), np.uint8)}, r"bad.npz' has shape \(4, 3, 8, 8\)"),
        ({"arr_0": np.zeros((4, 8, 8), np.uint8)}, r"bad.npz' has shape \(4, 8, 8\)"),
        ({"arr_0": np.zeros((1, 8, 8, 3), np.uint8)}, "bad.npz' holds 1 images; at least 2"),
        ({"x": np.zeros((4, 8, 8, 3), np.uint8)}, "bad.npz' holds no images: it has x but no 'arr_0'"),
        ({"arr_0": np.zeros((4, 8, 8, 3), np.uint8, order="F")[::1]}, "Fortran"),
        ({"arr_0": np.array([None, {}], dtype=object)}, "bad.npz': 'arr_0' holds Python objects"),
    ],
)
def test_bad_npz(tmp_path, arrays, message):
    with pytest.raises(UserError, match=message):
        open_images(saved(tmp_path / "bad.npz", **arrays))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.99])
def test_truncated_npz(tmp_path, save, kept):
    file = tmp_path / "cut.npz"
    save(file, pictures(7, 20))
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * kept)])
    with pytest.raises(UserError, match=r"cut\.npz' is no \.npz file, or a truncated one"):
        open_images(file)


def test_npz_with_altered_pixels(tmp_path):
    file = tmp_path / "altered.npz"
    np.savez(file, pictures(8, 20))
    content = bytearray(file.read_bytes())
    content[1000] ^= 255
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"altered\.npz'.* damaged: Bad CRC-32"):
        read(file)


def test_damaged_shard(tmp_path):
    (tmp_path / "00000000-00000004.safetensors").write_bytes(b"no")
    with pytest.raises(UserError, match=r"00000000-00000004\.safetensors' is no shard of images"):
        open_images(tmp_path)


def test_nothing_there(tmp_path):
    with pytest.raises(UserError, match="nowhere' does not exist"):
        open_images(tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds 0 images; at least 2"):
        open_images(tmp_path)
    (tmp_path / "x.txt").write_text("")
    with pytest.raises(UserError, match=r"x\.txt' is neither a folder nor a \.npz"):
        open_images(tmp_path / "x.txt")
