"""The few samples of each run that a leaderboard shows, and their grid."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...storage.sample_store import SampleStore, Shard
from ...storage.verified import State, state_of
from .grid_classes import COLUMNS, ROWS, Images, places
from .style import DPI, Figure, canvas, save, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

CELL = 48  # pixels that a small image is enlarged to
LINE = 25  # pixels that a line of the title is high
HEAD = 18  # pixels that a line of a class head is high
HEAD_SIZE = 7.0  # points, where the widest head has room


class StoredSamples(Mapping[str, Images]):
    """The first samples of each run that has a sound sample store, read when asked for.

    Where there are no more than ``COLUMNS`` classes, the columns of the grid are the classes. The choice hangs on the
    labels alone, which all methods share for a seed, so each place of the grid is the same noise for every method.

    Args:
        folder: an output folder, ``<folder>/<run_id>/samples``.
        records: of the runs.
    """

    def __init__(self, folder: Path, records: Iterable[Mapping[str, Any]]) -> None:
        specs = {record["run_id"]: record["spec"] for record in records}
        self._stores = {
            run_id: SampleStore(folder / run_id / "samples", run_id, spec["samples"], spec["block"])
            for run_id, spec in specs.items()
            if (folder / run_id / "samples").is_dir()
        }
        self._chosen: dict[str, Images] = {}

    def __getitem__(self, run_id: str) -> Images:
        if run_id not in self._chosen:
            store = self._stores[run_id]
            shard = store.read(*store.blocks[0])
            if shard is None:
                raise KeyError(run_id)
            self._chosen[run_id] = choose(shard)
        return self._chosen[run_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._stores)

    def __len__(self) -> int:
        return len(self._stores)

    def states(self) -> dict[str, State | None]:
        """Of each run what tells whether the file that is read is still the same; nothing is read for it."""
        return {run_id: state_of(store.path(*store.blocks[0])) for run_id, store in self._stores.items()}


def choose(shard: Shard) -> Images:
    """Columns of one class each where the classes fit; else the samples in their order."""
    chosen = places(shard.labels)
    return shard.images[: COLUMNS * ROWS] if chosen is None else shard.images[chosen]


def in_context(images: Images, real: Images | None, plain: Images | None) -> tuple[Images, str]:
    """The images with a row of real ones above and a row of differences below, and a line that says so.

    Args:
        images: a grid of ``COLUMNS`` columns.
        real: one row of the same form.
        plain: the same grid without guidance; grey in the difference is where both are equal.
    """
    rows, words = [images], []
    if real is not None and real.shape[1:] == images.shape[1:]:
        rows.insert(0, real)
        words.append("top: real images")
    if plain is not None and plain.shape == images.shape and len(images) >= COLUMNS:
        difference, gain = _stretched(images[:COLUMNS].astype(np.int16) - plain[:COLUMNS])
        rows.append(difference)
        words.append(f"bottom: first samples minus none, x {gain:g}")
    return np.concatenate(rows), "; ".join(words)


def _stretched(difference: NDArray[np.int16]) -> tuple[Images, float]:
    """Differences around grey, times the largest factor of 2 that leaves all but one in a hundred inside the range."""
    large = max(float(np.quantile(np.abs(difference), 0.99)), 1.0)
    gain = 2.0 ** math.floor(math.log2(127 / large))
    return (128 + difference * gain).clip(0, 255).astype(np.uint8), gain


def sample_grid(
    images: Images, stem: Path, columns: int = COLUMNS, title: str = "", heads: Sequence[tuple[str, int]] = ()
) -> Figure:
    """Write images (N, H, W, C) uint8 as a grid; small ones are enlarged without smoothing.

    Args:
        images: in reading order.
        stem: path without suffix.
        columns: images a row.
        title: above the grid.
        heads: words above the columns, each with the number of columns that it stands over.
    """
    pixels = tile(images, columns)
    height, width = pixels.shape[:2]
    heads = [(name.replace(" ", "\n"), wide) for name, wide in heads]
    head_lines = max((name.count("\n") + 1 for name, _ in heads), default=0)
    lines = title.count("\n") + 1 if title else 0
    band = LINE * lines + 9 + HEAD * head_lines
    with style():
        # A hundredth of a pixel more, for sizes are cut to whole pixels: the images must fall on pixels exactly.
        figure = canvas((width + 0.01) / DPI, (height + band + 0.01) / DPI)
        figure.set_layout_engine(None)
        axes = figure.add_axes((0, 0, 1, height / (height + band)))
        axes.imshow(pixels, interpolation="none", aspect="auto")
        axes.set_axis_off()
        figure.text(4 / width, 1 - 6 / (height + band), title, va="top", fontsize=8)
        _write_heads(figure, heads, columns, (height + 4) / (height + band))
        return save(figure, stem, title.replace("\n", ": "), grid=True)


def _write_heads(figure: Canvas, heads: Sequence[tuple[str, int]], columns: int, low: float) -> None:
    """Each centred over its columns, all in one size in which the widest fits."""
    place, written = 0, []
    for name, wide in heads:
        text = figure.text((place + wide / 2) / columns, low, name, ha="center", va="bottom", fontsize=HEAD_SIZE)
        written.append((text, text.get_window_extent().width * columns / wide / figure.bbox.width))
        place += wide
    shrink = max([1.0, *(filled / 0.96 for _, filled in written)])
    for text, _ in written:
        text.set_fontsize(HEAD_SIZE / shrink)


def tile(images: Images, columns: int) -> Images:
    """Images (N, H, W, 1 or 3) as one picture (H, W, 3), enlarged by a whole factor, with white lines between them."""
    count, height, width, _ = images.shape
    factor = max(1, round(CELL / max(height, width)))
    large = images.repeat(factor, axis=1).repeat(factor, axis=2)
    rows = math.ceil(count / columns)
    sheet = np.full((rows * columns, height * factor + 2, width * factor + 2, 3), 255, np.uint8)
    sheet[:count, 1:-1, 1:-1] = large
    sheet = sheet.reshape(rows, columns, *sheet.shape[1:]).swapaxes(1, 2)
    return sheet.reshape(rows * (height * factor + 2), columns * (width * factor + 2), 3)
