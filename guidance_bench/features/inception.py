"""The Inception network of the literature's FID, sFID and Inception Score, in one pass.

The layers are torch-fidelity's, which reproduce TensorFlow's graph of 2015-12-05 with its quirks; batch normalisation
is folded into the convolutions and memory is laid out channels-last, which changes the features by about 1e-7.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..core.arrays import exact_float32
from ..core.errors import UserError
from .inception_weights import InceptionWeights, find_weights, read_weights

SIZE = 299
SPATIAL_CHANNELS = 7
CLASSES = 1008


@dataclass(frozen=True)
class InceptionFeatures:
    """Features of a batch, float32.

    Attributes:
        pool3: (N, 2048), globally averaged.
        spatial: (N, 2023), the first 7 channels of the 17 x 17 map ``mixed_6/conv``, channels last.
        logits: (N, 1008) without the bias, or None where the weights have no classifier.
    """

    pool3: Tensor
    spatial: Tensor
    logits: Tensor | None


class Inception(nn.Module):
    """Inception of 2015-12-05 on uint8 images.

    Args:
        weights: of :func:`read_weights`.

    Attributes:
        weights_sha256: hash of the weights file.
        official: the weights are the literature's.
        has_logits: the weights hold the classifier.
    """

    def __init__(self, weights: InceptionWeights, trunk: nn.Sequential) -> None:
        super().__init__()
        self.path = weights.path
        self.weights_sha256 = weights.sha256
        self.official = weights.official
        self.has_logits = "fc.weight" in weights.tensors
        self.trunk = trunk
        self.fc = nn.Linear(2048, CLASSES, bias=False)
        _load(self, weights)
        _fold_batch_norm(self.trunk)
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.fc.weight.device

    def forward(self, images: Tensor) -> InceptionFeatures:
        """Features of uint8 images (N, H, W, 3), resized as TensorFlow 1 does: bilinear, corner to corner of pixels."""
        with exact_float32():
            return self.features(resize(images.to(self.device)))

    def features(self, pixels: Tensor) -> InceptionFeatures:
        """Features of float images (N, 3, 299, 299) in [0, 255]."""
        x = ((pixels - 128) / 128).contiguous(memory_format=torch.channels_last)
        spatial = x
        for name, layer in self.trunk.named_children():
            if name == "Mixed_6d":
                branch: nn.Module = layer.branch1x1  # type: ignore[assignment]
                spatial = branch(x)[:, :SPATIAL_CHANNELS].permute(0, 2, 3, 1).flatten(1)
            x = layer(x)
        pool3 = x.flatten(1)
        return InceptionFeatures(pool3, spatial, self.fc(pool3) if self.has_logits else None)


def load_inception(path: str | Path | None = None, device: torch.device | str = "cpu") -> Inception:
    """The network with the weights of ``path``, or those that :func:`find_weights` finds.

    Raises:
        UserError: no weights, or a file that is not theirs.
    """
    with torch.device("meta"):  # every number comes from the file
        trunk = build_trunk()
    names = [name.removesuffix(".conv") for name, m in trunk.named_modules() if isinstance(m, nn.Conv2d)]
    return Inception(read_weights(find_weights(path), names), trunk).to(device)


def build_trunk() -> nn.Sequential:
    """The network before the classifier, untrained."""
    from torch_fidelity import feature_extractor_inceptionv3 as layers

    conv: Any = layers.BasicConv2d
    stages = OrderedDict(
        Conv2d_1a_3x3=conv(3, 32, kernel_size=3, stride=2),
        Conv2d_2a_3x3=conv(32, 32, kernel_size=3),
        Conv2d_2b_3x3=conv(32, 64, kernel_size=3, padding=1),
        MaxPool_1=nn.MaxPool2d(3, stride=2),
        Conv2d_3b_1x1=conv(64, 80, kernel_size=1),
        Conv2d_4a_3x3=conv(80, 192, kernel_size=3),
        MaxPool_2=nn.MaxPool2d(3, stride=2),
        Mixed_5b=layers.InceptionA(192, pool_features=32),
        Mixed_5c=layers.InceptionA(256, pool_features=64),
        Mixed_5d=layers.InceptionA(288, pool_features=64),
        Mixed_6a=layers.InceptionB(288),
        Mixed_6b=layers.InceptionC(768, channels_7x7=128),
        Mixed_6c=layers.InceptionC(768, channels_7x7=160),
        Mixed_6d=layers.InceptionC(768, channels_7x7=160),
        Mixed_6e=layers.InceptionC(768, channels_7x7=192),
        Mixed_7a=layers.InceptionD(768),
        Mixed_7b=layers.InceptionE_1(1280),
        Mixed_7c=layers.InceptionE_2(2048),
        AvgPool=nn.AdaptiveAvgPool2d(1),
    )
    return nn.Sequential(stages)


def _load(network: Inception, weights: InceptionWeights) -> None:
    trunk = {name: tensor for name, tensor in weights.tensors.items() if not name.startswith("fc.")}
    try:
        network.trunk.load_state_dict(trunk, assign=True)
        if network.has_logits:
            network.fc.load_state_dict({"weight": weights.tensors["fc.weight"]})
    except RuntimeError as error:
        raise UserError(f"{str(weights.path)!r} does not hold torch-fidelity's Inception weights") from error


def _fold_batch_norm(network: nn.Module) -> None:
    from torch.nn.utils.fusion import fuse_conv_bn_eval
    from torch_fidelity.feature_extractor_inceptionv3 import BasicConv2d

    network.eval()
    for module in network.modules():
        if isinstance(module, BasicConv2d):
            module.conv = fuse_conv_bn_eval(module.conv, module.bn)
            module.bn = nn.Identity()


def resize(images: Tensor, size: int = SIZE) -> Tensor:
    """Images (N, H, W, 3) as float32 (N, 3, size, size) in channels-last memory, bilinear as TensorFlow 1's.

    Output pixel i lies at i H / size of the input: corners, not centres, are aligned, and nothing is averaged
    (tensorflow@f66daa4 ``image_resizer_state.h``). Equal bit for bit to torch-fidelity's, and about three times faster.
    """
    return _stretch(_stretch(images.float(), 2, size), 1, size).permute(0, 3, 1, 2)


def _stretch(x: Tensor, dim: int, size: int) -> Tensor:
    old = x.shape[dim]
    position = torch.arange(size, dtype=torch.float32, device=x.device) * torch.tensor(old / size, dtype=torch.float32)
    low = position.long()
    fraction = (position - low).view([size if d == dim else 1 for d in range(x.dim())])
    first, second = (x.index_select(dim, index) for index in (low, (low + 1).clamp_max(old - 1)))
    return second.sub_(first).mul_(fraction).add_(first)
