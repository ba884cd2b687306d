"""What every feature network offers: named features of a batch of images, and its identity."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..storage.image_files import Pixels

Features = NDArray[np.float32]


class Extractor(ABC):
    """Makes one or more named features of a batch.

    Attributes:
        makes: names of the features.
        title: what messages call it.
        space: name of the network, for :class:`FeatureSet`.
        lacks: features that it could have but has not, and what they need.
    """

    makes: ClassVar[tuple[str, ...]] = ()
    title: str = ""
    space: str = ""
    lacks: dict[str, str] = {}  # noqa: RUF012 - a default, replaced in instances

    @abstractmethod
    def __call__(self, images: Pixels) -> dict[str, Features]:
        """Features (N, D) by name of uint8 images (N, H, W, 3)."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What determines the features, for the record."""


def as_tensor(images: Pixels) -> Tensor:
    """A tensor of ``images``, copied only where the array is read-only or not contiguous."""
    return torch.from_numpy(np.require(images, requirements=["C", "W"]))
