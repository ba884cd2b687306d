"""LightningDiT (Yao et al., arXiv 2501.01423): SiT with RMSNorm, SwiGLU and rotary positions, for VA-VAE latents."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from guidance_bench.core.errors import UserError
from guidance_bench.core.parameters import param
from guidance_bench.networks.backbone import register_backbone

from .blocks import Attention, Block, Mlp, Norm, SwiGLU, plain_layer_norm, rms_norm
from .embeddings import Rotary
from .transformer import Transformer, TransformerConfig

#: Sizes of hustvl/LightningDiT@2725fed; the patch is 1 or 2.
LIGHTNINGDIT_SIZES = {
    "B": {"hidden_size": 768, "depth": 12, "num_heads": 12},
    "L": {"hidden_size": 1024, "depth": 24, "num_heads": 16},
    "XL": {"hidden_size": 1152, "depth": 28, "num_heads": 16},
    "1p0B": {"hidden_size": 1536, "depth": 24, "num_heads": 24},
    "1p6B": {"hidden_size": 1792, "depth": 28, "num_heads": 28},
}


class LightningDiT(Transformer):
    """Names and shapes of hustvl/LightningDiT@2725fed and, with a tap, of CVL-UESTC/Internal-Guidance@d048cc3."""


@register_backbone("lightningdit")
class LightningDiTConfig(TransformerConfig):
    """Configuration of :class:`LightningDiT`; the default is the published XL/1 on 32 x 16 x 16 latents."""

    summary: ClassVar[str] = "LightningDiT: RMSNorm, SwiGLU, rotary positions"
    sizes: ClassVar[dict[str, dict[str, int]]] = LIGHTNINGDIT_SIZES

    input_size: int = param(16, low=1, doc="height and width of a latent")
    patch_size: int = param(1, low=1, doc="height and width of a patch")
    in_channels: int = param(32, low=1, doc="channels of a latent")
    rmsnorm: bool = param(True, doc="RMSNorm with weights instead of LayerNorm without")
    swiglu: bool = param(True, doc="gated MLP, of two thirds of the width")
    rope: bool = param(True, doc="2-D rotary positions besides the added ones")
    wo_shift: bool = param(False, doc="blocks are modulated by a scale and a gate alone")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rope and self.hidden_size // self.num_heads % 4:
            width = self.hidden_size // self.num_heads
            raise UserError(f"{self.name}: rope needs heads of a width that is a multiple of 4, this is {width}")

    def build(self) -> LightningDiT:
        """A freshly initialised network."""
        return LightningDiT(self)

    def norm(self) -> Norm:
        """RMSNorm with weights or LayerNorm without."""
        return rms_norm if self.rmsnorm else plain_layer_norm

    def block(self) -> Block:
        """Attention and MLP with the options of the configuration."""
        width = self.hidden_size
        head_norm = rms_norm if self.rmsnorm else nn.LayerNorm
        attention = Attention(width, self.num_heads, head_norm if self.qk_norm else None)
        mlp = SwiGLU(width, int(2 / 3 * self.mlp_width)) if self.swiglu else Mlp(width, self.mlp_width)
        return Block(attention, mlp, width, self.norm(), shift=not self.wo_shift)

    def rotary(self) -> Rotary | None:
        """Rotary positions of a head's width, where they are used."""
        return Rotary(self.hidden_size // self.num_heads, self.tokens_per_side) if self.rope else None
