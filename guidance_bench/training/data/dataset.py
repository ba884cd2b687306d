"""Training data behind one interface: named by their contents, read by rows."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...core.errors import UserError
from ...networks.dataset import Dataset
from ...storage.pixels import from_uint8, to_uint8

#: Draws standard normal numbers of the shape of the batch, (N, *shape) float32, each row its sample's own.
Normal = Callable[[], Tensor]


class TrainingData(ABC):
    """Samples with labels.

    Attributes:
        name: tells the contents by their hash, such as ``digits@0123456789abcdef``.
        shape: (C, H, W) of a sample.
        classes: names, in the order of the labels.
        mirrors: whether samples can be mirrored.
    """

    name: str
    shape: tuple[int, int, int]
    classes: Sequence[str]
    mirrors: bool = True

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @abstractmethod
    def __len__(self) -> int:
        """Number of samples."""

    @abstractmethod
    def batch(self, rows: NDArray[np.int64], mirrored: NDArray[np.bool_], normal: Normal) -> tuple[Tensor, Tensor]:
        """Samples by their rows.

        Args:
            rows: (N,).
            mirrored: (N,), which to mirror left to right.
            normal: the samples' own draws, for data that are distributions.

        Returns:
            x (N, C, H, W) float32 and y (N,) int64.

        Raises:
            UserError: a file is damaged; it is named.
        """

    def pictures(self, x: Tensor) -> NDArray[np.uint8]:
        """Samples (N, C, H, W) as pictures, uint8 (N, h, w, 1 or 3); here they are pixels in [-1, 1] already.

        Raises:
            UserError: they cannot be shown.
        """
        if self.shape[0] not in (1, 3):
            raise UserError(f"{self.name}: samples of {self.shape[0]} channels are no pictures; they cannot be shown")
        shown: NDArray[np.uint8] = to_uint8(x, "round").cpu().numpy()
        return shown


class ImageArray(TrainingData):
    """Images in memory: uint8 (N, H, W, C), as pixels in [-1, 1].

    Args:
        source: what the images are called.
        images: uint8 (N, H, W, C).
        labels: (N,).
        classes: their names.
    """

    def __init__(
        self, source: str, images: NDArray[np.uint8], labels: NDArray[np.int64], classes: Sequence[str]
    ) -> None:
        digest = hashlib.sha256(np.ascontiguousarray(images).tobytes() + labels.tobytes()).hexdigest()
        self.name = f"{source}@{digest[:16]}"
        self.images, self.labels, self.classes = images, labels, tuple(classes)
        self.shape = (images.shape[3], images.shape[1], images.shape[2])
        check_labels(labels, len(self.classes), source)

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, rows: NDArray[np.int64], mirrored: NDArray[np.bool_], normal: Normal) -> tuple[Tensor, Tensor]:
        """Pixels in [-1, 1]."""
        chosen = self.images[rows]
        chosen[mirrored] = chosen[mirrored][:, :, ::-1]
        return from_uint8(torch.from_numpy(chosen)), torch.from_numpy(self.labels[rows])


class InMemory(TrainingData):
    """Latents in memory: :class:`guidance_bench.networks.dataset.Dataset`."""

    def __init__(self, data: Dataset) -> None:
        self.data, self.name = data, data.name
        channels, height, width = data.x.shape[1:]
        self.shape = (channels, height, width)
        self.classes = [str(label) for label in range(int(data.y.max()) + 1)]

    def __len__(self) -> int:
        return len(self.data.x)

    def batch(self, rows: NDArray[np.int64], mirrored: NDArray[np.bool_], normal: Normal) -> tuple[Tensor, Tensor]:
        """As they are."""
        chosen = torch.from_numpy(rows)
        x = self.data.x[chosen]
        flips = torch.from_numpy(mirrored)
        return torch.where(flips[:, None, None, None], x.flip(-1), x), self.data.y[chosen]


def check_labels(labels: NDArray[np.int64], num_classes: int, where: str) -> None:
    """Raise :class:`UserError` for a label outside the range; it is named with its row."""
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if len(wrong):
        row = int(wrong[0])
        raise UserError(f"{where}: label {int(labels[row])} of sample {row} is outside 0..{num_classes - 1}")
    if not len(labels):
        raise UserError(f"{where}: holds no samples")
