"""A folder of class folders: the files, their labels, the classes' names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...core.errors import UserError
from ...storage.image_files import list_images


@dataclass(frozen=True)
class ClassFolders:
    """What a folder holds.

    Attributes:
        folder: that was looked into.
        files: the images, class by class, in the order of their paths.
        labels: (N,), the place of the class folder in alphabetical order.
        classes: names of the class folders.
    """

    folder: Path
    files: tuple[Path, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]


def class_folders(folder: str | Path) -> ClassFolders:
    """The images of every folder in ``folder``, hidden ones left out.

    Raises:
        UserError: no such folder, no class folder, or an empty one; it is named.
    """
    place = Path(folder).expanduser()
    if not place.is_dir():
        raise UserError(f"{str(place)!r} is no folder: give one that holds a folder of images for each class")
    classes = sorted(f for f in place.iterdir() if f.is_dir() and not f.name.startswith("."))
    if not classes:
        raise UserError(f"{str(place)!r} holds no class folders: put the images into one folder for each class")
    files: list[Path] = []
    labels: list[int] = []
    for label, one in enumerate(classes):
        found = list_images(one).files
        if not found:
            raise UserError(f"class folder {str(one)!r} holds no images: fill it or remove it")
        files += found
        labels += [label] * len(found)
    return ClassFolders(place, tuple(files), np.asarray(labels, np.int64), tuple(f.name for f in classes))
