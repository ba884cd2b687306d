"""The few samples of a run that its leaderboard shows, kept as a small PNG beside the records.

So sample grids can be drawn anew where the samples themselves are no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..core.errors import UserError
from ..storage.files import atomic
from .figures.grid_classes import COLUMNS, Images

#: What the PNG's text says of the images in it.
COUNT = "images"


class Previews(Mapping[str, Images]):
    """Images by run id: of the stores at hand, else of the PNGs in ``folder``; what is asked for is kept there.

    Args:
        folder: of the PNGs.
        stores: samples at hand.
    """

    def __init__(self, folder: Path, stores: Mapping[str, Images]) -> None:
        self.folder = folder
        self._stores = stores
        self._kept = {file.stem for file in folder.glob("*.png")}
        self._asked: set[str] = set()

    def __getitem__(self, run_id: str) -> Images:
        self._asked.add(run_id)
        if run_id in self._stores:
            images = self._stores[run_id]
            write_preview(self.folder / f"{run_id}.png", images)
            return images
        if run_id not in self._kept:
            raise KeyError(run_id)
        return read_preview(self.folder / f"{run_id}.png")

    def __contains__(self, run_id: object) -> bool:
        return run_id in self._stores or run_id in self._kept

    def __iter__(self) -> Iterator[str]:
        return iter({*self._stores, *self._kept})

    def __len__(self) -> int:
        return len({*self._stores, *self._kept})

    def drop_others(self) -> None:
        """Delete the PNGs that nobody has asked for: their setting is no longer shown."""
        for run_id in self._kept - self._asked:
            (self.folder / f"{run_id}.png").unlink()


def write_preview(path: Path, images: Images) -> None:
    """Write images (N, H, W, 1 or 3) uint8 as one lossless PNG, ten in a row."""
    count, height, width, channels = images.shape
    rows = -(-count // COLUMNS)
    sheet = np.zeros((rows * COLUMNS, height, width, channels), np.uint8)
    sheet[:count] = images
    sheet = sheet.reshape(rows, COLUMNS, height, width, channels).swapaxes(1, 2)
    pixels = sheet.reshape(rows * height, COLUMNS * width, channels)
    with atomic(path) as temporary:
        Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(temporary, "PNG", pnginfo=_text(count, rows))


def read_preview(path: Path) -> Images:
    """What :func:`write_preview` wrote.

    Raises:
        UserError: no such file, or another PNG.
    """
    try:
        with Image.open(path, formats=("PNG",)) as image:
            count, rows = map(int, image.info[COUNT].split("/"))
            pixels = np.asarray(image)
        height, width = pixels.shape[0] // rows, pixels.shape[1] // COLUMNS
        sheet = pixels.reshape(rows, height, COLUMNS, width, -1).swapaxes(1, 2)
        return sheet.reshape(rows * COLUMNS, height, width, -1)[:count].copy()
    except (OSError, KeyError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"{str(path)!r} is no preview of samples: delete it") from error


def _text(count: int, rows: int) -> PngInfo:
    info = PngInfo()
    info.add_text(COUNT, f"{count}/{rows}")
    return info
