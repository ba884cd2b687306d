"""Image files in a folder: which are read, which are left out and why, and how a file becomes pixels; sheets of images.

The rules, for every format that Pillow reads:

- Hidden files and folders (a name that begins with a dot: ``.ipynb_checkpoints``, macOS's ``._name.png``, the temporary
  files of rsync and browsers) and unfinished downloads (``~name.png``, ``name.part.png``, ``name.png.part``) are not
  images of the set.
- Eight bits a channel at most. Sixteen, grey or colour, with alpha or without, are refused: how they become eight is
  the user's choice.
- Pixels are taken as they are stored. EXIF orientation is not applied, as in ADM's, torchvision's and pytorch-fid's
  readers.
- Grey becomes RGB by repetition; of transparent images the colours are taken and alpha is dropped.
- A file of several frames is refused.
"""

from __future__ import annotations

import os
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from ..core.errors import UserError
from .files import atomic

Pixels = NDArray[np.uint8]
MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")  # eight bits at most
ANIMATED = ("GIF", "PNG", "TIFF", "WEBP", "AVIF")  # formats whose further frames are other pictures
#: Formats that Pillow opens and that are no pictures, or that it gives to another program.
_OTHERS = {"BUFR", "EPS", "FITS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"}
_SIXTEEN = re.compile(r"16[BLN]?$")  # of the form that a decoder names a channel's bits by: "RGB;16B", "LA;16B"
#: Images in a row of a sheet, and what its PNG's text calls their number.
SHEET, COUNT = 10, "images"
_UNFINISHED = (".part", ".tmp", ".download", ".crdownload", ".aria2")


@dataclass(frozen=True)
class Listing:
    """What a folder holds.

    Attributes:
        folder: that was looked into, with all folders below it.
        files: the images, in the order of their paths.
        read: number of images by ending, in lower case.
        left_out: number of other files by ending, or by "hidden" and "unfinished".
    """

    folder: Path
    files: tuple[Path, ...]
    read: dict[str, int]
    left_out: dict[str, int]

    def summary(self) -> str:
        """One line: how many images of what ending, and what was left out."""
        left = f"; left out: {counts(self.left_out)}" if self.left_out else ""
        return f"{str(self.folder)!r}: {len(self.files)} images ({counts(self.read) or 'none'}){left}"


def counts(numbers: Mapping[str, int]) -> str:
    """Numbers by kind, as text: ``3 .png, 1 hidden``."""
    return ", ".join(f"{count} {name}" for name, count in numbers.items())


def list_images(folder: Path) -> Listing:
    """The image files in a folder and below it; symbolic links to folders are not followed.

    Raises:
        UserError: the folder cannot be read.
    """
    files: list[Path] = []
    read: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    for path in _walk(folder):
        ending = path.suffix.lower()
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            left_out["hidden"] += 1
        elif path.name.startswith("~") or ending in _UNFINISHED or Path(path.stem).suffix.lower() in _UNFINISHED:
            left_out["unfinished"] += 1
        elif ending in endings():
            files.append(path)
            read[ending] += 1
        else:
            left_out[ending or "without ending"] += 1
    return Listing(folder, tuple(sorted(files)), dict(sorted(read.items())), dict(sorted(left_out.items())))


def _walk(folder: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise UserError(f"{str(error.filename)!r} cannot be read: {error.strerror}") from error

    for place, _, names in os.walk(folder, onerror=fail):
        yield from (Path(place, name) for name in names)


@cache
def formats() -> tuple[str, ...]:
    """Pillow's names of the formats that are read."""
    Image.init()
    return tuple(name for name in Image.OPEN if name not in _OTHERS)


@cache
def endings() -> frozenset[str]:
    """Endings of the files that are read, in lower case."""
    Image.init()
    return frozenset(ending for ending, name in Image.registered_extensions().items() if name in formats())


def decoded(files: Iterable[Path], ahead: int) -> Iterator[Pixels]:
    """Files decoded in order by threads, at most ``ahead`` before their use.

    Raises:
        UserError: as :func:`decode`.
    """
    todo = iter(files)
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        pending: deque[Future[Pixels]] = deque(pool.submit(decode, file) for file in islice(todo, ahead))
        while pending:
            yield pending.popleft().result()
            pending.extend(pool.submit(decode, file) for file in islice(todo, 1))


def decode(file: Path) -> Pixels:
    """One file as uint8 (H, W, 3) by the rules above.

    Raises:
        UserError: it cannot be decoded, has more than eight bits a channel, or several frames.
    """
    try:
        with Image.open(file, formats=formats()) as image:
            problem = _problem(image)
            if problem:
                raise UserError(f"{str(file)!r} {problem}")
            return np.asarray(image.convert("RGB"))
    except UserError:
        raise
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{str(file)!r} cannot be decoded as an image: {error}") from error


def _problem(image: Image.Image) -> str:
    frames = getattr(image, "n_frames", 1) if image.format in ANIMATED else 1
    if frames > 1:
        return f"has {frames} frames; one picture a file is needed"
    if image.mode not in MODES:
        return f"has pixels of kind {image.mode!r}; 8 bits a channel are needed"
    if _sixteen(image):
        return f"has 16 bits a channel ({image.mode}); 8 are needed"
    return ""


def _sixteen(image: Image.Image) -> bool:
    """Whether a channel has sixteen bits in the file, which Pillow's mode does not tell: it cuts them to eight."""
    for tile in getattr(image, "tile", ()):
        form = tile[3][0] if isinstance(tile[3], tuple) else tile[3]
        if isinstance(form, str) and image.format != "BMP" and _SIXTEEN.search(form):
            return True
    return max(getattr(image, "tag_v2", {}).get(258, (8,))) > 8  # TIFF's BitsPerSample


def write_sheet(path: Path, images: Pixels) -> None:
    """Write images (N, H, W, 1 or 3) uint8 as one lossless PNG, ten in a row.

    Raises:
        UserError: the file cannot be written.
    """
    count, height, width, channels = images.shape
    rows = -(-count // SHEET)
    sheet = np.zeros((rows * SHEET, height, width, channels), np.uint8)
    sheet[:count] = images
    sheet = sheet.reshape(rows, SHEET, height, width, channels).swapaxes(1, 2)
    pixels = sheet.reshape(rows * height, SHEET * width, channels)
    about = PngInfo()
    about.add_text(COUNT, f"{count}/{rows}")
    with atomic(path) as temporary:
        Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(temporary, "PNG", pnginfo=about)


def read_sheet(path: Path) -> Pixels:
    """What :func:`write_sheet` wrote.

    Raises:
        UserError: no such file, or another PNG.
    """
    try:
        with Image.open(path, formats=("PNG",)) as image:
            count, rows = map(int, image.info[COUNT].split("/"))
            pixels = np.asarray(image)
        height, width = pixels.shape[0] // rows, pixels.shape[1] // SHEET
        sheet = pixels.reshape(rows, height, SHEET, width, -1).swapaxes(1, 2)
        return sheet.reshape(rows * SHEET, height, width, -1)[:count].copy()
    except (OSError, KeyError, ValueError, ZeroDivisionError, Image.DecompressionBombError) as error:
        raise UserError(f"{str(path)!r} is no sheet of samples: delete it") from error
