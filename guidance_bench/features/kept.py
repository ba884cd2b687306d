"""Features of blocks of images, kept on disk: each image passes each network once, whatever metrics are asked later."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ..core.arrays import slices
from ..core.identity import canonical, short_hash
from ..storage.files import atomic
from ..storage.image_files import Pixels
from ..storage.pixels import as_rgb
from .extractor import Extractor, Features

BATCH = 32
FORM = 1  # raised when the meaning of a kept file changes; older ones are then made again

#: Told how many images have just passed the networks.
Advance = Callable[[int], Any]


class FeatureMaker:
    """Images uint8 (N, H, W, C) to the features of several networks, a batch at a time; grey is repeated to RGB.

    As an evaluator's ``extract`` it lets the features be kept beside a run's samples.

    Args:
        extractors: the networks.
        names: features that are given out; None: all. All that a network makes are kept.
        batch_size: images a pass.
    """

    def __init__(
        self, extractors: Sequence[Extractor], names: Sequence[str] | None = None, batch_size: int = BATCH
    ) -> None:
        self.names = tuple(names if names is not None else (n for e in extractors for n in e.makes))
        self.extractors = [e for e in extractors if set(e.makes) & set(self.names)]
        self.batch_size = batch_size

    def __call__(self, images: Pixels) -> dict[str, Features]:
        """Features (N, D) by name."""
        made = {k: v for extractor in self.extractors for k, v in self.make(extractor, as_rgb(images)).items()}
        return {name: rows for name, rows in made.items() if name in self.names}

    def make(self, extractor: Extractor, images: Pixels, advance: Advance | None = None) -> dict[str, Features]:
        """Everything that one network makes of RGB images."""
        parts: dict[str, list[Features]] = {}
        for rows in slices(len(images), self.batch_size):
            for name, values in extractor(images[rows]).items():
                parts.setdefault(name, []).append(values)
            if advance and extractor is self.extractors[-1]:
                advance(rows.stop - rows.start)
        return {name: np.concatenate(values) for name, values in parts.items()}


class KeptFeatures:
    """The features of blocks of images in ``folder/<space>-<hash of the network's identity>``, a file a block.

    A file says what network and which images it is of, and holds a checksum over all of it; one that is missing,
    damaged, of other images or of another network is made again.

    Args:
        maker: the networks.
        folder: where the files lie.
    """

    def __init__(self, maker: FeatureMaker, folder: Path) -> None:
        self.maker = maker
        self.folder = folder
        self._identities = [{"form": FORM, **e.identity()} for e in maker.extractors]

    def path(self, number: int, start: int, stop: int) -> Path:
        """The file of one block and of the maker's extractor ``number``."""
        extractor = self.maker.extractors[number]
        name = f"{extractor.space or extractor.makes[0]}-{short_hash(self._identities[number])}"
        return self.folder / name / f"{start:08d}-{stop:08d}.safetensors"

    def has(self, start: int, stop: int) -> bool:
        """Whether a block's files are there, be they sound or not."""
        return all(self.path(number, start, stop).is_file() for number in range(len(self.maker.extractors)))

    def features(self, start: int, images: Pixels, advance: Advance | None = None) -> dict[str, Features]:
        """Features of the images ``start`` and on, read, or made and kept.

        Raises:
            UserError: images that are neither grey nor RGB, or a file that cannot be written.
        """
        images = as_rgb(images)
        digest = hashlib.sha256(repr(images.shape).encode() + np.ascontiguousarray(images).tobytes()).hexdigest()
        found: dict[str, Features] = {}
        for number, extractor in enumerate(self.maker.extractors):
            path = self.path(number, start, start + len(images))
            facts = {"identity": canonical(self._identities[number]), "images": digest}
            wanted = set(extractor.makes) & set(self.maker.names) - set(extractor.lacks)
            rows = _read(path, facts)
            if rows is None or not wanted <= set(rows):
                rows = self.maker.make(extractor, images, advance)
                _write(path, facts, rows)
            found |= {name: values for name, values in rows.items() if name in self.maker.names}
        return found


def _write(path: Path, facts: Mapping[str, str], rows: Mapping[str, Features]) -> None:
    arrays = {name: np.ascontiguousarray(values) for name, values in rows.items()}
    with atomic(path) as temporary:
        save_file(arrays, temporary, metadata={**facts, "sha256": _checksum(facts, arrays)})


def _read(path: Path, facts: Mapping[str, str]) -> dict[str, Features] | None:
    """The arrays of a sound file of just these facts, else None."""
    try:
        with safe_open(path, "np") as file:
            said: dict[str, str] = dict(file.metadata() or {})
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError):
        return None
    sound = said.pop("sha256", None) == _checksum(facts, arrays) and said == dict(facts)
    return arrays if sound else None


def _checksum(facts: Mapping[str, str], arrays: Mapping[str, Features]) -> str:
    form = (sorted(facts.items()), [(name, arrays[name].shape, arrays[name].dtype.str) for name in sorted(arrays)])
    digest = hashlib.sha256(repr(form).encode())
    for name in sorted(arrays):
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()
