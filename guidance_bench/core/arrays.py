"""Arrays from whoever calls: NumPy or PyTorch in, checked NumPy out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from .errors import UserError


def as_numpy(values: Any) -> NDArray[Any]:
    """A NumPy view of an array, a memory map or a PyTorch tensor on any device."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.float() if values.dtype == torch.bfloat16 else values  # which NumPy does not know
    return np.asanyarray(values)


def as_matrix(values: ArrayLike | Any, what: str, minimum: int = 1) -> NDArray[Any]:
    """``values`` as a real (N, D) array with N >= ``minimum``; not copied, so that a memory map stays one.

    Raises:
        UserError: another number of dimensions, too few rows, or values that are not real numbers.
    """
    array = as_numpy(values)
    if array.ndim != 2:
        raise UserError(f"{what} must have shape (N, D), not {array.shape}")
    if array.dtype.kind not in "fiu":
        raise UserError(f"{what} must hold real numbers, not {array.dtype}")
    if len(array) < minimum:
        raise UserError(f"{what}: {len(array)} rows, at least {minimum} are needed")
    return array


def check_same_width(a: NDArray[Any], b: NDArray[Any]) -> None:
    """Raise :class:`UserError` unless both (N, D) arrays have the same D."""
    if a.shape[1] != b.shape[1]:
        raise UserError(f"features of {a.shape[1]} and {b.shape[1]} dimensions cannot be compared")


def slices(count: int, size: int) -> Iterator[slice]:
    """Consecutive slices of at most ``size`` that cover ``range(count)``."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def default_device() -> torch.device:
    """The accelerator where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def float32_products(tf32: bool) -> Iterator[None]:
    """Matrix products and convolutions of float32 in TF32 or in full, whatever setting the program runs under."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = tf32
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def exact_float32() -> AbstractContextManager[None]:
    """Matrix products and convolutions in full float32."""
    return float32_products(tf32=False)
