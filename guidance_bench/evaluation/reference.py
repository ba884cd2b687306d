"""What samples are compared with: ADM's reference files, statistics of one's own, or plain images.

A statistics file is a .npz with ADM's keys: ``mu sigma`` of the pooled and ``mu_s sigma_s`` of the spatial features,
and ``arr_0``, images for precision and recall. The statistics are of more images than ``arr_0`` holds and are never
computed from it. Our own files add ``mu_<name> sigma_<name>`` of other features, ``features``, so that precision and
recall need no images, and ``provenance``, a JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import UserError
from ..features.extraction import Hashed
from ..features.feature_set import FeatureSet
from ..storage.files import atomic, sha256_of
from ..storage.image_sets import ADM_KEY, ImageSource, NpzImages, open_images
from ..storage.npz import npz_keys, read_npz

SUFFIXES = {"features": "", "spatial": "_s"}  # of ADM's keys; other features have their own name
KEPT = 10_000  # features that a file of our own keeps for precision and recall, as many as ADM's arr_0 has images

#: Makes the named features of images.
Extract = Callable[[ImageSource, Collection[str]], FeatureSet]


@dataclass(frozen=True)
class Reference:
    """A reference and what it is made of.

    Attributes:
        features: statistics, and features by name.
        identity: for the record: path, kind, sha256, and what the file says of itself.
    """

    features: FeatureSet
    identity: dict[str, Any]


def load_reference(place: str | Path | ImageSource, names: Collection[str], extract: Extract) -> Reference:
    """The reference at ``place``: a statistics file, or images whose features are made now.

    Args:
        place: path of a .npz file or a folder of images, or a source of images, such as a dataset.
        names: features that the metrics ask of the reference.
        extract: makes them.

    Raises:
        UserError: nothing usable there.
    """
    if not isinstance(place, ImageSource):
        file = Path(place).expanduser()
        if file.suffix == ".npz" and file.is_file() and "mu" in npz_keys(file):
            return _statistics_file(file, extract)
        place = open_images(file)
    source = Hashed(place)
    features = extract(source, names)
    identity = {"path": source.title, "kind": "images", "count": len(source), "sha256": source.sha256()}
    return Reference(features, identity)


def save_reference(path: str | Path, features: FeatureSet, provenance: Mapping[str, Any]) -> str:
    """Write a statistics file of our own; returns its sha256.

    Args:
        path: of the .npz file.
        features: whose statistics are kept, and of "features" at most 10,000 evenly spaced rows.
        provenance: what the images are and what made the features, as plain JSON values.

    Raises:
        UserError: the path does not end in .npz or cannot be written.
    """
    if Path(path).suffix != ".npz":
        raise UserError(f"a reference file ends in .npz; {str(path)!r} does not")
    arrays: dict[str, NDArray[Any]] = {}
    for name in features.with_statistics:
        suffix = SUFFIXES.get(name, f"_{name}")
        arrays[f"mu{suffix}"], arrays[f"sigma{suffix}"] = features.statistics(name)
    if features.has("features"):
        rows = features.array("features")
        arrays["features"] = rows[np.linspace(0, len(rows) - 1, min(len(rows), KEPT)).round().astype(int)]
    arrays["provenance"] = np.array(json.dumps({**provenance, "space": features.space}, sort_keys=True))
    with atomic(Path(path)) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    return sha256_of(Path(path))


def _statistics_file(file: Path, extract: Extract) -> Reference:
    keys = npz_keys(file)
    contents = {key: read_npz(file, key) for key in keys if key not in (ADM_KEY, "provenance")}
    provenance = _provenance(file) if "provenance" in keys else {}
    features = FeatureSet(
        {"features": contents["features"]} if "features" in keys else {},
        _statistics(file, contents),
        later={"features": _features_of_images(file, extract)} if ADM_KEY in keys else {},
        space=provenance.get("space", "inception"),
        title=repr(str(file)),
        lacks={
            "features": f"it holds no images ({ADM_KEY}) to compute them from",
            "spatial": "it holds no mu_s and sigma_s",
        },
    )
    identity = {"path": str(file), "kind": "statistics", "keys": keys, "sha256": sha256_of(file)}
    return Reference(features, identity | ({"provenance": provenance} if provenance else {}))


def _statistics(file: Path, contents: Mapping[str, NDArray[Any]]) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    names = {suffix: name for name, suffix in SUFFIXES.items()}
    found = {}
    for key in contents:
        suffix = key.removeprefix("mu")
        if suffix == key or (suffix and not suffix.startswith("_")):
            continue
        if f"sigma{suffix}" not in contents:
            raise UserError(f"{str(file)!r} has {key!r} but no 'sigma{suffix}'")
        found[names.get(suffix, suffix[1:])] = contents[key], contents[f"sigma{suffix}"]
    return found


def _features_of_images(file: Path, extract: Extract) -> Callable[[], NDArray[Any]]:
    @cache
    def make() -> NDArray[Any]:
        return extract(NpzImages(file), ("features",)).array("features")

    return make


def _provenance(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(str(read_npz(file, "provenance")))
    except json.JSONDecodeError:
        content = None
    if not isinstance(content, dict):
        raise UserError(f"{str(file)!r}: 'provenance' is no JSON object")
    return content
