"""SiT (Ma et al., arXiv 2401.08740): the DiT architecture trained on the linear interpolant's velocity."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from guidance_bench.networks.backbone import register_backbone

from .blocks import Attention, Block, Mlp, Norm, plain_layer_norm
from .transformer import Transformer, TransformerConfig

#: Sizes of the paper; the patch is 2, 4 or 8.
SIT_SIZES = {
    "S": {"hidden_size": 384, "depth": 12, "num_heads": 6},
    "B": {"hidden_size": 768, "depth": 12, "num_heads": 12},
    "L": {"hidden_size": 1024, "depth": 24, "num_heads": 16},
    "XL": {"hidden_size": 1152, "depth": 28, "num_heads": 16},
}


class SiT(Transformer):
    """Names and shapes of willisma/SiT@947f95b and, with a tap, of CVL-UESTC/Internal-Guidance@d048cc3."""


@register_backbone("sit")
class SiTConfig(TransformerConfig):
    """Configuration of :class:`SiT`; the default is XL/2 on 4 x 32 x 32 latents, ``**SIT_SIZES["B"]`` makes it B/2."""

    summary: ClassVar[str] = "SiT: DiT blocks, fixed sine-cosine positions"
    sizes: ClassVar[dict[str, dict[str, int]]] = SIT_SIZES

    def build(self) -> SiT:
        """A freshly initialised network."""
        return SiT(self)

    def norm(self) -> Norm:
        """LayerNorm without weights."""
        return plain_layer_norm

    def block(self) -> Block:
        """Attention, tanh-GELU MLP, adaLN with shift."""
        width = self.hidden_size
        attention = Attention(width, self.num_heads, nn.LayerNorm if self.qk_norm else None)
        return Block(attention, Mlp(width, self.mlp_width), width, self.norm())
