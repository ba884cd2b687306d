"""The edges: float to uint8 by each rule, and ADM's crop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from guidance_bench.core.errors import UserError
from guidance_bench.storage.pixels import UINT8_RULES, center_crop, from_uint8, load_image, to_uint8


def _grey(value: float, rule: str) -> int:
    return int(to_uint8(torch.full((1, 1, 1, 1), value), rule))


@pytest.mark.parametrize(
    ("x", "truncate", "round_"),
    [
        (-1.0, 0, 0),
        (1.0, 255, 255),
        (0.0, 127, 128),  # 127.5 and 128.0
        (-1.0 + 2.001 / 255, 1, 1),  # just above one grey level
        (-1.0 + 1.999 / 255, 0, 1),
        (-1.0 + 1 / 255, 0, 1),  # half a grey level: 0.5 and 1.0
        (-1.0 + 0.999 / 255, 0, 0),
        (1.0 - 0.01 / 255, 254, 255),
        (1.0 - 1.01 / 255, 254, 254),
        (7.0, 255, 255),
        (-7.0, 0, 0),
        (float("inf"), 255, 255),
    ],
)
def test_uint8_borders(x: float, truncate: int, round_: int) -> None:
    assert (_grey(x, "truncate"), _grey(x, "round")) == (truncate, round_)


def test_uint8_rules_are_the_official_expressions() -> None:
    """REPA and IG-SiT: clamp(255 ((x + 1) / 2)); upstream SiT, LightningDiT, VA-VAE: clamp(127.5 x + 128); then cut."""
    x = torch.randn(2, 3, 40, 30, generator=torch.Generator().manual_seed(0))
    expected = {
        "truncate": np.clip(np.float32(255) * ((x.numpy() + np.float32(1)) / np.float32(2)), 0, 255).astype(np.uint8),
        "round": np.clip(np.float32(127.5) * x.numpy() + np.float32(128), 0, 255).astype(np.uint8),
    }
    for rule, values in expected.items():
        np.testing.assert_array_equal(to_uint8(x, rule).numpy(), values.transpose(0, 2, 3, 1))
    inside = x.abs() < 0.99
    difference = to_uint8(x, "round").int() - to_uint8(x, "truncate").int()
    assert difference.min() == 0 and difference.max() == 1
    assert abs(difference.permute(0, 3, 1, 2)[inside].float().mean() - 0.5) < 0.02


def test_every_grey_level_survives_rounding() -> None:
    levels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1)
    x = from_uint8(levels)
    assert x.shape == (1, 1, 16, 16) and x.min() == -1 and x.max() == 1
    torch.testing.assert_close(to_uint8(x, "round"), levels, rtol=0, atol=0)
    lost = levels.int() - to_uint8(x, "truncate").int()
    assert set(lost.unique().tolist()) == {0, 1}  # why pixels are rounded


def test_uint8_layout_and_half_precision() -> None:
    x = torch.linspace(-1, 1, 2 * 3 * 4 * 5).view(2, 3, 4, 5)
    images = to_uint8(x, "round")
    assert images.shape == (2, 4, 5, 3) and images.dtype == torch.uint8 and images.is_contiguous()
    assert images[1, 2, 3, 1] == _grey(float(x[1, 1, 2, 3]), "round")
    torch.testing.assert_close(to_uint8(x.half(), "round"), to_uint8(x.half().float(), "round"), rtol=0, atol=0)


def test_nan_is_refused() -> None:
    x = torch.zeros(3, 1, 2, 2)
    x[1, 0, 1, 1] = float("nan")
    with pytest.raises(UserError, match="1 of 3 images hold NaN"):
        to_uint8(x, "round")


def test_unknown_rule() -> None:
    with pytest.raises(UserError, match=r"'rounds' \(known: truncate, round\); did you mean 'round'"):
        to_uint8(torch.zeros(1, 1, 1, 1), "rounds")
    assert set(UINT8_RULES) == {"truncate", "round"}


# -- ADM's crop


@pytest.fixture(scope="module")
def photographs() -> list[Image.Image]:
    from sklearn.datasets import load_sample_images

    return [Image.fromarray(image) for image in load_sample_images().images]  # 427 x 640, two of them


def _halved(array: np.ndarray) -> np.ndarray:
    """Box filter by two for even sides: pairs of columns, then of rows, each mean to the nearest integer, half up."""
    columns = (array[:, ::2].astype(int) + array[:, 1::2] + 1) // 2
    return ((columns[::2] + columns[1::2] + 1) // 2).astype(np.uint8)


@pytest.mark.parametrize("size", [256, 64, 400])
def test_crop_of_photographs(photographs: list[Image.Image], size: int) -> None:
    for image in photographs:
        even = image.crop((0, 0, 640, 416))  # sides that halve exactly down to 40 x 26
        array = np.asarray(even)
        while min(array.shape[:2]) >= 2 * size:
            array = _halved(array)
        height, width = array.shape[:2]
        resized = Image.fromarray(array).resize((round(width * size / height), size), Image.Resampling.BICUBIC)
        left = (resized.width - size) // 2
        expected = np.asarray(resized)[:, left : left + size]
        actual = np.asarray(center_crop(even, size))
        assert actual.shape == (size, size, 3)
        np.testing.assert_array_equal(actual, expected)


def test_crop_keeps_a_square_of_its_size(photographs: list[Image.Image]) -> None:
    square = photographs[0].crop((100, 50, 356, 306))
    np.testing.assert_array_equal(np.asarray(center_crop(square, 256)), np.asarray(square))


@pytest.mark.parametrize("shape", [(427, 640), (640, 427), (255, 999), (64, 64), (63, 200), (129, 128)])
def test_crop_is_square_and_inside(shape: tuple[int, int]) -> None:
    ramp = np.linspace(0, 255, shape[1]).astype(np.uint8)
    image = Image.fromarray(np.broadcast_to(ramp[None, :, None], (*shape, 3)).copy())
    cropped = np.asarray(center_crop(image, 64)).astype(int)
    assert cropped.shape == (64, 64, 3)
    row = cropped[32, :, 0]
    assert abs((row[0] + row[-1]) / 2 - 127.5) < 4  # the middle is cut out
    expected_span = 255 * min(1.0, shape[0] / shape[1])
    assert abs((row[-1] - row[0]) - expected_span) < 8  # of the short side's extent


def test_crop_commutes_with_a_flip(photographs: list[Image.Image]) -> None:
    """For an even margin, flipping left to right before or after is the same up to rounding."""
    image = photographs[1].crop((0, 0, 640, 416))
    flip = Image.Transpose.FLIP_LEFT_RIGHT
    before, after = center_crop(image.transpose(flip), 208), center_crop(image, 208).transpose(flip)
    assert np.abs(np.asarray(before).astype(int) - np.asarray(after)).max() <= 1


def test_load_image(tmp_path, photographs: list[Image.Image]) -> None:
    photographs[0].convert("L").save(tmp_path / "grey.png")
    image = load_image(tmp_path / "grey.png", 32)
    assert image.shape == (32, 32, 3) and image.dtype == torch.uint8
    torch.testing.assert_close(image[..., 0], image[..., 2], rtol=0, atol=0)
    (tmp_path / "text.png").write_text("no image")
    for name in ("text.png", "missing.png"):
        with pytest.raises(UserError, match=f"{name}' is not a readable image"):
            load_image(tmp_path / name, 32)
    with pytest.raises(UserError, match="crop size 0"):
        center_crop(photographs[0], 0)
