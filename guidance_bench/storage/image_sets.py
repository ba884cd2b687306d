"""Images on disk as batches of uint8 (N, H, W, 3): folders of image files, ADM's .npz, and our own sample store.

Everything is read in order and in batches, so that memory does not grow with the number of images.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..core.arrays import slices
from ..core.console import say, warn
from ..core.errors import UserError
from .image_files import Pixels, counts, decoded, list_images
from .npz import ArrayStream, conversion, npz_keys
from .pixels import as_rgb
from .sample_store import PATTERN, SampleStore

ADM_KEY = "arr_0"


class ImageSource(ABC):
    """Images of one size, in order.

    Attributes:
        title: what messages call it: the path.
        features: folder in which the images' features are kept; None: they are not.
        block: images a kept file.
        left_out: what lies there and was not read, by kind.
    """

    title: str
    left_out: Mapping[str, int] = {}
    features: Path | None = None
    block: int = 256

    @abstractmethod
    def __len__(self) -> int:
        """Number of images."""

    @abstractmethod
    def batches(self, size: int) -> Iterator[Pixels]:
        """All images in order, (n, H, W, 3) with n <= ``size``; :class:`UserError` names a bad file."""


class ArrayImages(ImageSource):
    """Images in memory.

    Raises:
        UserError: not uint8 (N, H, W, 3).
    """

    def __init__(self, images: NDArray[Any], title: str = "images") -> None:
        self.title = title
        self._images = images
        check_images(images.shape, images.dtype, title)

    def __len__(self) -> int:
        return len(self._images)

    def batches(self, size: int) -> Iterator[Pixels]:
        """Slices of the array."""
        return (self._images[part] for part in slices(len(self), size))


class DatasetImages(ImageSource):
    """A map-style dataset, such as torchvision's: its items are images, PIL or uint8 (H, W, 3), or begin with one."""

    def __init__(self, dataset: Any, title: str = "dataset") -> None:
        self.title = title
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def batches(self, size: int) -> Iterator[Pixels]:
        """Items in order."""
        for part in slices(len(self), size):
            batch = np.stack([self._image(i) for i in range(part.start, part.stop)])
            check_images(batch.shape, batch.dtype, self.title)
            yield batch

    def _image(self, index: int) -> NDArray[Any]:
        item = self._dataset[index]
        image = item[0] if isinstance(item, tuple) else item
        return np.asarray(image.convert("RGB") if isinstance(image, Image.Image) else image)


class FolderImages(ImageSource):
    """Every image file below a folder, in the order of their paths, decoded by threads ahead of their use.

    What was read and what was left out is said in one line; the rules are those of :mod:`.image_files`.
    """

    def __init__(self, folder: Path) -> None:
        self.title = str(folder)
        listing = list_images(folder)
        self._files = listing.files
        self.left_out = listing.left_out
        if self._files:  # where there are none, an error says so
            say(listing.summary())

    def __len__(self) -> int:
        return len(self._files)

    def batches(self, size: int) -> Iterator[Pixels]:
        """Decoded images; all must be as large as the first."""
        batch: list[Pixels] = []
        first: Pixels | None = None
        for file, pixels in zip(self._files, decoded(self._files, 2 * size), strict=True):
            first = pixels if first is None else first
            if pixels.shape != first.shape:
                raise UserError(f"{str(file)!r} is {_size(pixels)} but {str(self._files[0])!r} is {_size(first)}")
            batch.append(pixels)
            if len(batch) == size:
                yield np.stack(batch)
                batch = []
        if batch:
            yield np.stack(batch)


class NpzImages(ImageSource):
    """The array ``arr_0`` of a .npz file, read as a stream: neither unpacked to disk nor held in memory.

    Raises:
        UserError: no such file, a truncated one, one without ``arr_0``, or images that are not uint8 (N, H, W, 3).
    """

    def __init__(self, file: Path) -> None:
        self.title = str(file)
        keys = npz_keys(file)
        if ADM_KEY not in keys:
            has = ", ".join(keys) or "nothing"
            raise UserError(f"{self.title!r} holds no images: it has {has} but no {ADM_KEY!r}{conversion(file)}")
        self._stream = ArrayStream.open(file, ADM_KEY)
        try:
            check_images(self._stream.shape, self._stream.dtype, self.title)
        except UserError as error:
            raise UserError(f"{error}{conversion(file)}") from error

    def __len__(self) -> int:
        return self._stream.shape[0]

    def batches(self, size: int) -> Iterator[Pixels]:
        """Consecutive images of the stream."""
        return self._stream.rows(size)


class StoreImages(ImageSource):
    """The shards of a sample store, in the order of their indices.

    A store of ours is checked first: what was looked at before by size, time and inode, else pixel by pixel.

    Args:
        folder: the store, or the run that it belongs to.
        partial: whether a store that is not whole is read as far as it is sound.

    Raises:
        UserError: shards are missing or damaged, and ``partial`` is not asked for.
    """

    def __init__(self, folder: Path, partial: bool = False) -> None:
        self.title = str(folder)
        files, whole = _sound_shards(folder, partial)
        self._shapes = {file: _shard_shape(file) for file in files}
        sizes = {shape[1:] for shape in self._shapes.values()}
        if len(sizes) > 1:
            raise UserError(f"{self.title!r} holds shards of images of two sizes: {', '.join(map(str, sorted(sizes)))}")
        counts = [shape[0] for shape in self._shapes.values()]
        if whole and all(count == counts[0] for count in counts[:-1]) and counts[-1] <= counts[0]:
            place = files[0].parent
            beside = place.parent if place.name == "samples" else place
            self.features, self.block = beside / "features" if os.access(beside, os.W_OK) else None, counts[0]

    def __len__(self) -> int:
        return sum(shape[0] for shape in self._shapes.values())

    def batches(self, size: int) -> Iterator[Pixels]:
        """Slices of one shard after the other; a batch does not cross shards."""
        from safetensors import safe_open

        for file, shape in self._shapes.items():
            with safe_open(file, "np") as tensors:
                images = tensors.get_slice("images")
                for part in slices(shape[0], size):
                    yield as_rgb(images[part])


def open_images(path: str | Path, partial: bool = False) -> ImageSource:
    """The images at ``path``: a folder of image files or of shards, or a .npz file with ``arr_0``.

    Args:
        path: where they are.
        partial: whether a sample store that is not whole is read as far as it is sound.

    Raises:
        UserError: nothing there, nothing that is an image, fewer than two images, or a store that is not whole.
    """
    place = Path(path).expanduser()
    if not place.exists():
        raise UserError(f"{str(place)!r} does not exist")
    source = _open_folder(place, partial) if place.is_dir() else _open_file(place)
    if len(source) < 2:
        left = f"; left out: {counts(source.left_out)}" if source.left_out else ""
        raise UserError(f"{source.title!r} holds {len(source)} images{left}; at least 2 are needed")
    return source


def check_images(shape: tuple[int, ...], dtype: np.dtype[Any], title: str) -> None:
    """Raise :class:`UserError` unless an array of this shape and dtype is uint8 (N, H, W, 3)."""
    if len(shape) != 4 or shape[-1] != 3:
        raise UserError(f"{title!r} has shape {shape}; images must be (N, H, W, 3)")
    if dtype != np.uint8:
        raise UserError(f"{title!r} holds {dtype}; images must be uint8 in 0..255")


def _open_folder(folder: Path, partial: bool) -> ImageSource:
    shards = any(folder.glob(PATTERN)) or any(folder.glob(f"samples/{PATTERN}"))
    return StoreImages(folder, partial) if shards else FolderImages(folder)


def _open_file(file: Path) -> ImageSource:
    if file.suffix.lower() == ".npz":
        return NpzImages(file)
    raise UserError(f"{str(file)!r} is neither a folder nor a .npz file{conversion(file)}")


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[0]} x {pixels.shape[1]}"


# -- shards


def _sound_shards(folder: Path, partial: bool) -> tuple[list[Path], bool]:
    """The files to read in order, and whether they are all of a store of ours."""
    place = folder if any(folder.glob(PATTERN)) else folder / "samples"
    files = sorted(place.glob(PATTERN))
    try:
        store = SampleStore.open(place)
    except UserError:  # shards of another program, which tell nothing of the set
        return files, True
    try:
        store.digest()
        return [store.path(*block) for block in store.blocks], True
    except UserError as error:
        absent = set(store.missing())
        count = sum(stop - start for start, stop in absent)
        told = (
            f"{str(folder)!r} is not whole: {len(absent)} of {len(store.blocks)} blocks, {count} of {len(store)} "
            "samples, are missing or damaged"
        )
        if not partial:
            raise UserError(
                f"{told}; run the same command again, or evaluate what is there with partial=true"
            ) from error
        warn(f"{told}; the other {len(store) - count} are evaluated")
        return [store.path(*block) for block in store.blocks if block not in absent], False


def _shard_shape(file: Path) -> tuple[int, ...]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np") as tensors:
            images = tensors.get_slice("images")
            shape, dtype = tuple(images.get_shape()), images.get_dtype()
    except (SafetensorError, OSError) as error:
        raise UserError(f"{str(file)!r} is no shard of images, or a damaged one: {error}") from error
    rgb = (*shape[:-1], 3) if len(shape) == 4 and shape[-1] == 1 else shape  # grey is repeated
    check_images(rgb, np.dtype(np.uint8 if dtype == "U8" else np.float32), str(file))
    return rgb
