"""Networks that turn images into the named features of the metrics.

To let a metric need a feature of another network, add its maker to :data:`EXTRACTORS` under the feature's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..core.arrays import exact_float32
from ..core.errors import UserError, did_you_mean
from ..storage.image_files import Pixels
from .dinov2 import DinoV2Extractor
from .extractor import Extractor, Features, as_tensor
from .inception import SIZE, Inception, load_inception

NO_CLASSIFIER = "the weights {file} have no classifier; give torch-fidelity's weights-inception-2015-12-05-6726825d.pth"


class InceptionExtractor(Extractor):
    """ "features", "spatial" and, where the weights have the classifier, "logits" of Inception."""

    makes = ("features", "spatial", "logits")

    def __init__(self, network: Inception) -> None:
        self.network = network
        self.title = repr(str(network.path))
        self.space = "inception" if network.official else f"inception-{network.weights_sha256[:12]}"
        self.lacks = {} if network.has_logits else {"logits": NO_CLASSIFIER.format(file=repr(str(network.path)))}

    @torch.inference_mode()
    def __call__(self, images: Pixels) -> dict[str, Features]:
        """One pass of the network."""
        result = self.network(as_tensor(images))
        named = {"features": result.pool3, "spatial": result.spatial, "logits": result.logits}
        return {name: tensor.cpu().numpy() for name, tensor in named.items() if tensor is not None}

    def identity(self) -> dict[str, Any]:
        """Hash of the weights, and the resize."""
        return {
            "network": "inception-2015-12-05" if self.network.official else "unknown Inception weights",
            "weights_sha256": self.network.weights_sha256,
            "resize": "TensorFlow 1 bilinear to 299",
            "precision": "float32 without TF32",
        }


class CleanExtractor(Extractor):
    """ "clean": Inception's pooled features after clean-fid's resize."""

    makes = ("clean",)

    def __init__(self, network: Inception) -> None:
        from cleanfid.resize import build_resizer

        self.network = network
        self._resize: Callable[[Pixels], Features] = build_resizer("clean")

    @torch.inference_mode()
    def __call__(self, images: Pixels) -> dict[str, Features]:
        """Each image resized on the CPU, one pass of the network."""
        pixels = torch.from_numpy(np.stack([self._resize(image) for image in images])).permute(0, 3, 1, 2)
        with exact_float32():
            return {"clean": self.network.features(pixels.to(self.network.device)).pool3.cpu().numpy()}

    def identity(self) -> dict[str, Any]:
        """Hash of the weights, and the resize."""
        return {"weights_sha256": self.network.weights_sha256, "resize": f"clean-fid bicubic antialiased to {SIZE}"}


def _inception(weights: str | Path | None, device: torch.device) -> Extractor:
    return InceptionExtractor(_network(str(weights) if weights else None, device))


def _clean(weights: str | Path | None, device: torch.device) -> Extractor:
    return CleanExtractor(_network(str(weights) if weights else None, device))


def _dinov2(weights: str | Path | None, device: torch.device) -> Extractor:
    return DinoV2Extractor(device)


@lru_cache(maxsize=1)
def _network(weights: str | None, device: torch.device) -> Inception:
    return load_inception(weights, device)


Maker = Callable[[str | Path | None, torch.device], Extractor]

#: Makers of the network behind each feature, called with the path of Inception's weights and the device.
EXTRACTORS: dict[str, Maker] = {
    "features": _inception,
    "spatial": _inception,
    "logits": _inception,
    "clean": _clean,
    "dinov2": _dinov2,
}


def extractors_for(names: Iterable[str], weights: str | Path | None, device: torch.device) -> list[Extractor]:
    """The fewest networks that make the features ``names``.

    Raises:
        UserError: no network makes one of them, or its weights cannot be had.
    """
    makers: list[Maker] = []
    for name in names:
        if name not in EXTRACTORS:
            known = ", ".join(EXTRACTORS)
            raise UserError(f"no network makes the feature {name!r} (known: {known}){did_you_mean(name, EXTRACTORS)}")
        if EXTRACTORS[name] not in makers:
            makers.append(EXTRACTORS[name])
    return [make(weights, device) for make in makers]
