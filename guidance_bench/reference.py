"""What samples are compared with: ADM's reference files, statistics of one's own, or plain images.

A statistics file is a .npz with ADM's keys: ``mu sigma`` of the pooled and ``mu_s sigma_s`` of the spatial features, and
``arr_0``, images for precision and recall. The statistics are of more images than ``arr_0`` holds and are never computed
from it. Our own files add ``features``, so that precision and recall need no images, and ``provenance``, a JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import UserError
from .feature_set import FeatureSet
from .features import Hashed
from .files import atomic, sha256_of
from .images import ImageSource, NpzImages, Pixels, open_images, open_npz

#: Keys of mean and covariance in a statistics file, by feature; "features" and "spatial" have ADM's.
KEYS = {"features": ("mu", "sigma"), "spatial": ("mu_s", "sigma_s")}
KEPT = 10_000  # features that a file of our own keeps for precision and recall, as many as ADM's arr_0

#: Images and names of features to a feature set.
Extract = Callable[[ImageSource, Collection[str]], FeatureSet]


@dataclass(frozen=True)
class Reference:
    """A reference and what it is made of.

    Attributes:
        features: statistics, and features by name.
        identity: for the record: path, sha256, and what the file says of itself.
    """

    features: FeatureSet
    identity: dict[str, Any]


def load_reference(path: str | Path, names: Collection[str], extract: Extract) -> Reference:
    """The reference at ``path``: a statistics file, or images whose features are made now.

    Args:
        path: a .npz file or a folder of images.
        names: features that the metrics ask of the reference.
        extract: makes features of images.

    Raises:
        UserError: nothing usable there.
    """
    file = Path(path).expanduser()
    if file.suffix == ".npz" and file.is_file() and KEYS["features"][0] in _keys(file):
        return _from_statistics(file, names, extract)
    source = Hashed(open_images(file))
    features = extract(source, names)
    return Reference(features, {"path": str(path), "kind": "images", "count": len(source), "sha256": source.sha256()})


def save_reference(path: str | Path, features: FeatureSet, provenance: Mapping[str, Any]) -> str:
    """Write a statistics file of our own; returns its sha256.

    Args:
        path: of the .npz file.
        features: whose statistics are kept, and at most 10,000 evenly spaced rows of "features".
        provenance: where the images are from and what made the features; plain JSON values.

    Raises:
        UserError: the path does not end in .npz or cannot be written.
    """
    if Path(path).suffix != ".npz":
        raise UserError(f"a reference file ends in .npz, {str(path)!r} does not")
    arrays: dict[str, NDArray[Any]] = {}
    for name in features.names:
        mean, cov = _statistics_keys(name)
        arrays[mean], arrays[cov] = features.statistics(name)
    rows = features.array("features")
    arrays["features"] = rows[np.linspace(0, len(rows) - 1, min(len(rows), KEPT)).round().astype(int)]
    arrays["provenance"] = np.array(json.dumps({**provenance, "space": features.space}, sort_keys=True))
    with atomic(Path(path)) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    return sha256_of(Path(path))


class StatisticsFile(FeatureSet):
    """The features of a statistics file; those of its images are made only when a metric asks for them."""

    def __init__(self, file: Path, contents: Mapping[str, NDArray[Any]], names: Collection[str], extract: Extract) -> None:
        self._file = file
        self._names = set(names)
        self._extract = extract
        self._has_images = "arr_0" in contents
        self.provenance: dict[str, Any] = json.loads(str(contents["provenance"])) if "provenance" in contents else {}
        arrays = {"features": contents["features"]} if "features" in contents else {}
        super().__init__(
            arrays, _given(contents, file), space=self.provenance.get("space", "inception"), title=repr(str(file))
        )

    def has(self, name: str) -> bool:
        """Whether features are at hand or can be made of the file's images."""
        return super().has(name) or (self._has_images and name in KEYS)

    def array(self, name: str) -> NDArray[Any]:
        """Features of the file, else of its images.

        Raises:
            UserError: the file has neither.
        """
        if not super().has(name) and self.has(name):
            return self._of_images.array(name)
        return super().array(name)

    @cached_property
    def _of_images(self) -> FeatureSet:
        made = self._extract(NpzImages(self._file), self._names & KEYS.keys())
        if made.space != self.space:
            raise UserError(f"{self.title} is of {self.space!r}, these weights are {made.space!r}")
        return made

    def _reason(self, name: str) -> str:
        if name in KEYS and not self._has_images:
            mean, cov = KEYS[name]
            return f"it holds neither its images (arr_0) nor {'both' if name else ''} {mean} and {cov}".replace("  ", " ")
        return super()._reason(name)


def _from_statistics(file: Path, names: Collection[str], extract: Extract) -> Reference:
    contents = _read(file, (key for key in _keys(file) if key != "arr_0"))
    if "arr_0" in _keys(file):
        contents["arr_0"] = np.empty(0)  # its presence is all that matters before a metric asks for it
    features = StatisticsFile(file, contents, names, extract)
    identity = {"path": str(file), "kind": "statistics", "sha256": sha256_of(file), "keys": sorted(_keys(file))}
    return Reference(features, identity | ({"provenance": features.provenance} if features.provenance else {}))
