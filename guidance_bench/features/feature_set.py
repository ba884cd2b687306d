"""Named features of one set of images, and their statistics: all that a metric ever sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import UserError
from .statistics import Statistics, feature_statistics


class FeatureSet:
    """Features of N images by name, from whatever network made them.

    The names that the metrics know: "features" (N, D), "spatial" (N, 2023), "logits" (N, classes), "labels" (N,)
    intended classes of generated samples, "dinov2" (N, 1024), "clean" (N, 2048). Arrays may be memory maps: metrics
    read them in slices.

    Args:
        arrays: features by name, equal in length.
        statistics: (mean, covariance) by feature name where they come ready-made; they win over the arrays, as in
            ADM's reference files, whose ``mu`` and ``sigma`` are of more images than ``arr_0`` holds.
        later: makers of features that are expensive and made when first asked for, as of the 10,000 images in ADM's
            reference files; statistics are never computed from them.
        space: the network that "features", "spatial" and "logits" belong to, e.g. ``"inception"``; metrics refuse to
            compare two spaces, and FID refuses any but Inception's.
        title: what messages call this set.
        lacks: for a name that is absent, what would be needed to have it.
    """

    def __init__(
        self,
        arrays: Mapping[str, NDArray[Any]],
        statistics: Mapping[str, tuple[NDArray[Any], NDArray[Any]]] | None = None,
        *,
        later: Mapping[str, Callable[[], NDArray[Any]]] | None = None,
        space: str = "",
        title: str = "the feature set",
        lacks: Mapping[str, str] | None = None,
    ) -> None:
        self._arrays = dict(arrays)
        self._statistics = {name: Statistics(*given) for name, given in (statistics or {}).items()}
        self._later = dict(later or {})
        self._lacks = dict(lacks or {})
        self.space = space
        self.title = title

    @property
    def names(self) -> list[str]:
        """Names of the features at hand as arrays."""
        return sorted(self._arrays)

    @property
    def with_statistics(self) -> list[str]:
        """Names of the features whose statistics are given or can be computed."""
        numbers = (name for name, array in self._arrays.items() if array.ndim == 2 and name != "logits")
        return sorted({*self._statistics, *numbers})

    @property
    def count(self) -> int:
        """Number of images, 0 where only statistics are known."""
        return len(next(iter(self._arrays.values()))) if self._arrays else 0

    def has(self, name: str) -> bool:
        """Whether :meth:`array` would give ``name``."""
        return name in self._arrays or name in self._later

    def has_statistics(self, name: str) -> bool:
        """Whether :meth:`statistics` would give those of ``name``."""
        return name in self._statistics or name in self._arrays

    def array(self, name: str) -> NDArray[Any]:
        """The features called ``name``, one row an image.

        Raises:
            UserError: there are none; the message says what they need.
        """
        if name in self._arrays:
            return self._arrays[name]
        if name in self._later:
            return self._later[name]()
        raise UserError(f"{self.title} has no {name!r}: {self.reason(name)}")

    def statistics(self, name: str) -> Statistics:
        """Mean (D,) and covariance (D, D) of ``name`` in float64: the given ones, else computed once from the array.

        Raises:
            UserError: neither statistics nor features of that name.
        """
        if name not in self._statistics:
            if name not in self._arrays:
                raise UserError(f"{self.title} has no statistics of {name!r}: {self.reason(name)}")
            self._statistics[name] = feature_statistics(self._arrays[name])
        return self._statistics[name]

    def subset(self, index: NDArray[np.integer[Any]] | slice) -> FeatureSet:
        """The images at ``index``; ready-made statistics, which are of all images, are left behind."""
        arrays = {name: array[index] for name, array in self._arrays.items()}
        return FeatureSet(arrays, space=self.space, title=self.title, lacks=self._lacks)

    def reason(self, name: str) -> str:
        """Why ``name`` is not there."""
        if name in self._lacks:
            return self._lacks[name]
        has = ", ".join(sorted({*self._arrays, *self._later, *self._statistics})) or "nothing"
        return f"it has {has}"
