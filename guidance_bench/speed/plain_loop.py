"""The peer of the sampler: SiT from timm's parts and a loop with guidance written into it, as papers' programs do.

One forward pass for each branch, latents in float64 between steps, the network in the precision that it is given.
Weights are those of our own SiT, so that the samples can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
from timm.layers.mlp import Mlp
from timm.models.vision_transformer import Attention  # type: ignore[attr-defined]
from torch import Tensor, nn


def _modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return x * (1 + scale[:, None]) + shift[:, None]


class PlainBlock(nn.Module):
    """adaLN-Zero block (arXiv 2212.09748, section 3.2) from timm's attention and MLP."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.attn = Attention(width, num_heads=heads, qkv_bias=True)
        self.norm2 = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.mlp = Mlp(width, 4 * width, act_layer=partial(nn.GELU, approximate="tanh"))  # type: ignore[arg-type]
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Tokens (N, T, D) under the condition c (N, D)."""
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(c).chunk(6, dim=1)
        x = x + gate1[:, None] * self.attn(_modulate(self.norm1(x), shift1, scale1))
        x = x + gate2[:, None] * self.mlp(_modulate(self.norm2(x), shift2, scale2))
        return x


class PlainHead(nn.Module):
    """Modulated norm and a linear map to patches."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.norm_final = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.linear = nn.Linear(width, out)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """(N, T, D) to (N, T, out)."""
        shift, scale = self.adaLN_modulation(c).chunk(2, dim=1)
        out: Tensor = self.linear(_modulate(self.norm_final(x), shift, scale))
        return out


class _Patches(nn.Module):
    def __init__(self, patch: int, channels: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        tokens: Tensor = self.proj(x).flatten(2).transpose(1, 2)
        return tokens


class _Times(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        rates = torch.exp(-math.log(10_000) * torch.arange(128, device=t.device) / 128)
        angles = t[:, None] * rates
        waves = torch.cat([angles.cos(), angles.sin()], dim=-1)
        out: Tensor = self.mlp(waves.to(next(self.parameters()).dtype))
        return out


class _Labels(nn.Module):
    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.embedding_table = nn.Embedding(classes + 1, width)

    def forward(self, y: Tensor) -> Tensor:
        out: Tensor = self.embedding_table(y)
        return out


class PlainSiT(nn.Module):
    """SiT with an optional internal head; parameters have the official names.

    Args:
        width, depth, heads, patch, channels, side, classes: of the network; ``side`` is that of a latent.
        tap: block after which the internal head hangs.
    """

    def __init__(
        self, width: int, depth: int, heads: int, patch: int, channels: int, side: int, classes: int, tap: int | None
    ) -> None:
        super().__init__()
        self.patch, self.channels, self.side, self.classes, self.tap = patch, channels, side, classes, tap
        self.x_embedder = _Patches(patch, channels, width)
        self.t_embedder = _Times(width)
        self.y_embedder = _Labels(classes, width)
        self.pos_embed = nn.Parameter(torch.zeros(1, (side // patch) ** 2, width), requires_grad=False)
        self.blocks = nn.ModuleList(PlainBlock(width, heads) for _ in range(depth))
        if tap:
            self.final_layer_xr = PlainHead(width, patch * patch * channels)
        self.final_layer = PlainHead(width, patch * patch * channels)

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> tuple[Tensor, Tensor | None]:
        """Velocities (N, C, H, W) of the final and of the internal head."""
        tokens = self.x_embedder(x.to(self.pos_embed.dtype)) + self.pos_embed
        condition = self.t_embedder(t) + self.y_embedder(y)
        inner = None
        for number, block in enumerate(self.blocks, 1):
            tokens = block(tokens, condition)
            if number == self.tap:
                inner = self._image(self.final_layer_xr(tokens, condition))
        return self._image(self.final_layer(tokens, condition)), inner

    def _image(self, tokens: Tensor) -> Tensor:
        grid, p = self.side // self.patch, self.patch
        x = tokens.reshape(len(tokens), grid, grid, p, p, self.channels)
        return torch.einsum("nhwpqc->nchpwq", x).reshape(len(tokens), self.channels, self.side, self.side)


Guide = Callable[[Tensor, float, Tensor], Tensor]


def guide(network: PlainSiT, method: str, scale: float, high: float = 1.0) -> Guide:
    """The guided velocity of "none", "cfg", "ig" or "ig_cfg" (both scales alike; CFG only at t <= ``high``)."""

    def heads(x: Tensor, t: float, y: Tensor) -> tuple[Tensor, Tensor | None]:
        final, inner = network(x.float(), torch.full((len(x),), t, device=x.device), y)
        return final.double(), None if inner is None else inner.double()

    def branch(x: Tensor, t: float, y: Tensor) -> Tensor:
        final, inner = heads(x, t, y)
        return inner + scale * (final - inner) if "ig" in method and inner is not None else final

    def guided(x: Tensor, t: float, y: Tensor) -> Tensor:
        conditional = branch(x, t, y)
        if "cfg" not in method or t > high:
            return conditional
        null = branch(x, t, torch.full_like(y, network.classes))
        return null + scale * (conditional - null)

    return guided


@torch.no_grad()
def euler(guided: Guide, noise: Tensor, y: Tensor, steps: int) -> Tensor:
    """Euler steps from t = 1 to t = 0 in float64."""
    x, times = noise.double(), torch.linspace(1, 0, steps + 1, dtype=torch.float64).tolist()
    for t, t_next in pairwise(times):
        x = x + (t_next - t) * guided(x, t, y)
    return x.float()
