"""The samples of a run for other programs: as ADM's .npz, as PNG files, or as one picture.

One shard is in memory at a time, however many samples there are. The order is that of the samples' indices, in which no
label policy sorts the classes, so evaluators that split a file (ADM's Inception Score) can read it as it is.
"""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..core.console import bar
from ..core.errors import UserError, did_you_mean
from .files import IDLE, atomic, check_writable, umask
from .pixels import as_rgb
from .sample_store import SampleStore

Pixels = NDArray[np.uint8]


def find(run: str, output: Path) -> SampleStore:
    """The samples of a run, by its folder or its id in an output folder; :class:`UserError` where there is none."""
    for folder in (output.expanduser() / run, Path(run).expanduser()):
        if folder.is_dir():
            return SampleStore.open(folder)
    known = [path.parent.name for path in output.glob("*/samples")]
    raise UserError(f"no run {run!r} in {str(output)!r}, and no such folder{did_you_mean(run, known)}")


def export(store: SampleStore, target: Path, columns: int = 10, rows: int = 10) -> Path:
    """Write the samples as the target's name says: .npz, .png (a grid), else a folder of PNG files.

    Raises:
        UserError: a shard is missing or damaged, or the target cannot be written.
    """
    check_writable(target if target.suffix else target / "labels.csv")
    if target.suffix == ".npz":
        write_npz(store, target)
    elif target.suffix == ".png":
        write_grid(store, target, columns, rows)
    elif target.suffix:
        raise UserError(f"to={str(target)!r} is not .npz, .png or a folder")
    else:
        write_folder(store, target)
    return target


def write_npz(store: SampleStore, target: Path) -> None:
    """ADM's sample file, written as a stream: ``arr_0`` (N, H, W, 3) uint8, grey repeated, and ``arr_1`` (N,) int64."""
    shape = next(iter(store)).images.shape[1:3]
    labels = (shard.labels for shard in store)
    with atomic(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        images = (as_rgb(shard.images) for shard in store)
        _member(archive, "arr_0.npy", (len(store), *shape, 3), np.dtype(np.uint8), images)
        _member(archive, "arr_1.npy", (len(store),), np.dtype(np.int64), labels)


def _member(
    archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], parts: Iterable[NDArray[Any]]
) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with archive.open(name, "w", force_zip64=True) as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for part in parts:
            stream.write(np.ascontiguousarray(part).data)


def write_folder(store: SampleStore, target: Path) -> None:
    """``000000.png`` and on, with ``labels.csv``; the folder appears when it is whole.

    Raises:
        UserError: it exists and is not empty, or cannot be written.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"to={str(target)!r} exists already: give a new folder")
    temporary = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep_folders(target)
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
        temporary.chmod(0o777 & ~umask())
        _write_pictures(store, temporary)
        os.replace(temporary, target)
    except OSError as error:
        raise UserError(f"cannot write {str(target)!r}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _sweep_folders(target: Path) -> None:
    """Remove what killed exports to the same folder have left half written."""
    for leftover in target.parent.glob(f".{glob.escape(target.name)}.????????"):
        newest = max((path.stat().st_mtime for path in leftover.glob("*")), default=leftover.stat().st_mtime)
        if leftover.is_dir() and newest < time.time() - IDLE:
            shutil.rmtree(leftover, ignore_errors=True)


def _write_pictures(store: SampleStore, folder: Path) -> None:
    with bar(len(store), "export", "image") as progress, (folder / "labels.csv").open("w", encoding="utf-8") as table:
        table.write("file,label\n")
        for shard in store:
            for index, image, label in zip(range(shard.start, shard.stop), shard.images, shard.labels, strict=True):
                name = f"{index:06d}.png"
                _picture(image, folder / name)
                table.write(f"{name},{label}\n")
                progress.update()


def write_grid(store: SampleStore, target: Path, columns: int = 10, rows: int = 10) -> None:
    """The first ``columns * rows`` samples, row by row; tiny ones are enlarged by a whole factor."""
    images: list[Pixels] = []
    wanted = min(columns * rows, len(store))
    for shard in store:
        images += list(islice(shard.images, wanted - len(images)))
        if len(images) == wanted:
            break
    zoom = max(1, 32 // images[0].shape[0])
    blank = np.zeros_like(images[0])
    images += [blank] * (-wanted % columns)
    lines = [np.concatenate(images[i : i + columns], axis=1) for i in range(0, len(images), columns)]
    picture = np.concatenate(lines).repeat(zoom, axis=0).repeat(zoom, axis=1)
    with atomic(target) as temporary, temporary.open("wb") as file:
        _picture(picture, file)


def _picture(image: Pixels, file: Path | IO[bytes]) -> None:
    from PIL import Image

    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, format="PNG")
