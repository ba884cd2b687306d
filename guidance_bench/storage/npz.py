"""Reading .npz files of others: no pickles, and one line for a damaged one. Large arrays are read as a stream."""

from __future__ import annotations

import shlex
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import UserError

#: Where other programs keep images, most likely first.
KEYS = ("arr_0", "images", "samples", "x", "data", "imgs", "sample", "image")
_DAMAGE = (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error)


def npz_keys(file: Path) -> list[str]:
    """Names of the arrays in a file, sorted.

    Raises:
        UserError: no such file, or not a whole .npz.
    """
    with _open(file) as archive:
        return sorted(name.removesuffix(".npy") for name in archive.namelist())


def read_npz(file: Path, key: str) -> NDArray[Any]:
    """One array of a file.

    Raises:
        UserError: the array is damaged or holds Python objects.
    """
    try:
        with np.load(file, allow_pickle=False) as contents:
            array: NDArray[Any] = contents[key]
            return array
    except _DAMAGE as error:
        raise UserError(f"{str(file)!r}: {key!r} cannot be read: {error}") from error


@dataclass(frozen=True)
class ArrayStream:
    """An array of a .npz file, read from its beginning and never held as a whole.

    Attributes:
        file: the .npz.
        key: the array's name.
        shape: of the array.
        dtype: of the array.
    """

    file: Path
    key: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @classmethod
    def open(cls, file: Path, key: str) -> ArrayStream:
        """The array called ``key``.

        Raises:
            UserError: it is not there, damaged, of Python objects, or in Fortran order.
        """
        with _member(file, key) as member:
            return cls(file, key, *_header(member, file, key))

    def rows(self, size: int) -> Iterator[NDArray[Any]]:
        """Consecutive rows, at most ``size`` at once; read-only.

        Raises:
            UserError: the array is damaged or ends early.
        """
        each = self.dtype.itemsize * int(np.prod(self.shape[1:]))
        with _member(self.file, self.key) as member:
            _header(member, self.file, self.key)
            for start in range(0, self.shape[0], size):
                count = min(size, self.shape[0] - start)
                content = self._read(member, count * each)
                yield np.frombuffer(content, self.dtype).reshape(count, *self.shape[1:])

    def _read(self, member: IO[bytes], length: int) -> bytes:
        try:
            content = member.read(length)
        except _DAMAGE as error:
            raise UserError(f"{str(self.file)!r}: {self.key!r} is damaged: {error}") from error
        if len(content) != length:
            raise UserError(f"{str(self.file)!r} is truncated: {self.key!r} ends early")
        return content


def _open(file: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{str(file)!r} is no .npz file, or a truncated one: {error}") from error


@contextmanager
def _member(file: Path, key: str) -> Iterator[IO[bytes]]:
    with _open(file) as archive, archive.open(f"{key}.npy") as member:
        yield member


def _header(member: IO[bytes], file: Path, key: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(member)
    except _DAMAGE as error:
        raise UserError(f"{str(file)!r}: {key!r} is damaged: {error}") from error
    if fortran or dtype.hasobject:
        kind = "holds Python objects" if dtype.hasobject else "is in Fortran order; save a C-ordered array"
        raise UserError(f"{str(file)!r}: {key!r} {kind}")
    return tuple(shape), dtype


# -- the line that turns an array file of another form into ADM's


def conversion(file: Path) -> str:
    """``"; convert it with: python -c ..."`` for a file that can be converted, else an empty string."""
    try:
        line = _line(file)
    except Exception:  # whatever is wrong with the file, the caller has a sentence for it
        return ""
    return f"; convert it with: {line}" if line else ""


def _line(file: Path) -> str:
    ending = file.suffix.lower()
    if ending not in (".npy", ".npz"):
        return ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded: Any = np.load(file, mmap_mode="r" if ending == ".npy" else None, allow_pickle=False)
        key = "" if ending == ".npy" else next((k for k in (*KEYS, *npz_keys(file)) if _is_images(loaded, k)), "")
        array = loaded[key] if key else loaded
    if not isinstance(array, np.ndarray) or not _shape(array):
        return ""
    target = file.with_name(f"{file.stem}_adm.npz")
    code = f"import numpy as np; x = np.load({str(file)!r}){f'[{key!r}]' if key else ''}; "
    code += "".join(f"x = {step}; " for step in _steps(array))
    return f"python -c {shlex.quote(f'{code}np.savez({str(target)!r}, x)')}"


def _is_images(loaded: Any, key: str) -> bool:
    return key in loaded and bool(_shape(loaded[key]))


def _shape(array: NDArray[Any]) -> str:
    """Which axis has the channels: "last", "first", "none"; empty for what is no set of images."""
    if array.dtype.kind not in "fiu" or 0 in array.shape:
        return ""
    if array.ndim == 3:
        return "none"
    if array.ndim == 4 and (array.shape[-1] in (1, 3) or array.shape[1] in (1, 3)):
        return "last" if array.shape[-1] in (1, 3) else "first"
    return ""


def _steps(array: NDArray[Any]) -> list[str]:
    steps = {"last": [], "none": ["x[..., None]"], "first": ["x.transpose(0, 2, 3, 1)"]}[_shape(array)]
    channels = {"last": array.shape[-1], "none": 1, "first": array.shape[1]}[_shape(array)]
    steps += ["x.repeat(3, -1)"] if channels == 1 else []
    if array.dtype == np.uint8:
        return [*steps, "np.ascontiguousarray(x)"]
    some = np.asarray(array[:64], np.float64)
    if array.dtype.kind == "f" and some.min() < 0:
        scaled = "x * 127.5 + 127.5"  # of [-1, 1]
    else:
        scaled = "x * 255" if array.dtype.kind == "f" and some.max() <= 1 else "x"
    return [*steps, f"({scaled}).round().clip(0, 255).astype(np.uint8)"]
