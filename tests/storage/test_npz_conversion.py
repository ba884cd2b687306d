"""Array files of other forms: refused, with a line that makes them ADM's; the line is run here."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
from fake_features import pictures

from guidance_bench.core.errors import UserError
from guidance_bench.storage.image_sets import open_images

IMAGES = pictures(0, 6)
UNIT = IMAGES.astype(np.float32) / 255

FORMS = {
    "key images": ("x.npz", {"images": IMAGES}, IMAGES),
    "key samples": ("x.npz", {"labels": np.arange(6), "samples": IMAGES}, IMAGES),
    "another key": ("x.npz", {"my pictures": IMAGES}, IMAGES),
    "npy": ("it's x.npy", IMAGES, IMAGES),
    "NPY": ("x.NPY", IMAGES, IMAGES),
    "floats in 0..1": ("x.npz", {"arr_0": UNIT}, IMAGES),
    "floats in -1..1": ("x.npy", UNIT * 2 - 1, IMAGES),
    "floats in 0..255": ("x.npy", IMAGES.astype(np.float64), IMAGES),
    "whole numbers": ("x.npy", IMAGES.astype(np.int64), IMAGES),
    "channels first": ("x.npz", {"arr_0": IMAGES.transpose(0, 3, 1, 2)}, IMAGES),
    "channels first in floats": ("x.npz", {"images": UNIT.transpose(0, 3, 1, 2) * 2 - 1}, IMAGES),
    "grey": ("x.npz", {"arr_0": IMAGES[..., 0]}, IMAGES[..., :1].repeat(3, -1)),
    "grey with an axis": ("x.npz", {"arr_0": IMAGES[..., :1]}, IMAGES[..., :1].repeat(3, -1)),
    "Fortran order": ("x.npy", np.asfortranarray(IMAGES), IMAGES),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_line_that_converts(tmp_path, form):
    name, content, expected = FORMS[form]
    file = tmp_path / name
    with file.open("wb") as stream:
        np.savez(stream, **content) if isinstance(content, dict) else np.save(stream, content)
    with pytest.raises(UserError) as caught:
        open_images(file)
    line = re.search(r"; convert it with: (python .*)$", str(caught.value))
    assert line, str(caught.value)
    subprocess.run(line[1].replace("python ", f"{sys.executable} ", 1), shell=True, check=True)
    (made,) = tmp_path.glob("*_adm.npz")
    assert np.array_equal(np.concatenate(list(open_images(made).batches(4))), expected)


def test_the_ending_may_be_written_large(tmp_path):
    with (tmp_path / "X.NPZ").open("wb") as stream:
        np.savez(stream, IMAGES)
    assert len(open_images(tmp_path / "X.NPZ")) == 6


@pytest.mark.parametrize(
    "content", [{"mu": np.zeros(3)}, {"arr_0": np.array([None])}, {"arr_0": np.zeros((4, 8, 8, 5), np.float32)}]
)
def test_no_line_where_there_are_no_images(tmp_path, content):
    np.savez(tmp_path / "x.npz", **content)
    with pytest.raises(UserError) as caught:
        open_images(tmp_path / "x.npz")
    assert "python" not in str(caught.value)
    (tmp_path / "x.npy").write_bytes(b"no")
    with pytest.raises(UserError, match=r"neither a folder nor a \.npz file$"):
        open_images(tmp_path / "x.npy")
