"""DINOv2 features for FD-DINOv2, equal to those of the published network at 224 x 224.

Images are resized as NVlabs/edm2 ``calculate_metrics.py`` does: bicubic, antialiased, in float. timm's network shrinks
the positional embedding with antialiasing where facebookresearch/dinov2 ``vision_transformer.py`` does not; since the
literature's numbers come from the latter, its interpolation is repeated here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.arrays import exact_float32
from ..core.errors import UserError
from ..storage.image_files import Pixels
from .extractor import Extractor, Features, as_tensor

ARCHITECTURE = "vit_large_patch14_dinov2.lvd142m"
SIZE = 224
OFFSET = 0.1  # added to the target size by facebookresearch/dinov2 before it forms the scale factor
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class DinoV2Extractor(Extractor):
    """ "dinov2": the normalised class token (N, 1024).

    Args:
        device: where the network runs.
        architecture: timm's name of the network.
        pretrained: False leaves the weights random, which is of use in tests alone.

    Raises:
        UserError: the weights are neither at hand nor to be downloaded.
    """

    makes = ("dinov2",)

    def __init__(self, device: torch.device, architecture: str = ARCHITECTURE, pretrained: bool = True) -> None:
        import timm

        self.architecture = architecture
        try:
            network = timm.create_model(architecture, pretrained=pretrained, num_classes=0)
        except Exception as error:  # the hub's client raises its own, its HTTP library's and the system's errors
            reason = (" ".join(str(error).split()) or type(error).__name__)[:120]
            raise UserError(f"fd_dinov2: the weights of timm/{architecture} cannot be had: {reason}") from error
        _shrink(network)
        self.network = network.eval().requires_grad_(False).to(device)
        self.device = device

    @torch.inference_mode()
    def __call__(self, images: Pixels) -> dict[str, Features]:
        """Resize, normalise, one pass of the network."""
        with exact_float32():
            tokens = self.network(self._pixels(as_tensor(images).to(self.device)))
        return {"dinov2": tokens.cpu().numpy()}

    def identity(self) -> dict[str, Any]:
        """Name of the network, and the resize."""
        return {"network": f"timm/{self.architecture}", "resize": f"bicubic antialiased to {SIZE}"}

    def _pixels(self, images: Tensor) -> Tensor:
        x = images.permute(0, 3, 1, 2).float()
        x = F.interpolate(x, size=(SIZE, SIZE), mode="bicubic", antialias=True) / 255
        mean, std = (x.new_tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
        return (x - mean) / std


def _shrink(network: nn.Module) -> None:
    """Make the network take 224 x 224 instead of the 518 x 518 that it was trained on last."""
    positions = shrink_positions(network.pos_embed.data, SIZE // network.patch_embed.patch_size[0])  # type: ignore
    network.set_input_size(img_size=(SIZE, SIZE))  # type: ignore[operator]
    network.pos_embed.data.copy_(positions)  # type: ignore[operator]


def shrink_positions(positions: Tensor, side: int) -> Tensor:
    """Positional embedding (1, 1 + s^2, D) of s x s patches, for ``side`` x ``side`` patches."""
    token, grid = positions[:, :1], positions[:, 1:]
    old = round(grid.shape[1] ** 0.5)
    grid = grid.unflatten(1, (old, old)).permute(0, 3, 1, 2)
    scale = (side + OFFSET) / old
    grid = F.interpolate(grid, scale_factor=(scale, scale), mode="bicubic", antialias=False)
    return torch.cat([token, grid.permute(0, 2, 3, 1).flatten(1, 2)], 1)
