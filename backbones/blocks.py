"""Blocks and heads that SiT and LightningDiT share. Module names are those of the official state dicts.

Peebles & Xie, "Scalable diffusion models with transformers" (arXiv 2212.09748), section 3: adaLN-Zero. RMSNorm, SwiGLU,
rotary positions, qk-norm and modulation without shift are options of LightningDiT (Yao et al., arXiv 2501.01423).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from guidance_bench.guidance.filters import gaussian_blur
from guidance_bench.networks.backbone import Edit
from guidance_bench.networks.own_edits import OwnEdit, own_edit

from .embeddings import Rotary

Norm = Callable[[int], nn.Module]

#: kinds of edit that a block understands; each acts in the blocks that it names
BLOCK_EDITS = frozenset({"skip_layers", "identity_attention", "query_blur", "token_shuffle"})


def plain_layer_norm(width: int) -> nn.Module:
    """LayerNorm without weights: scale and shift come from the condition."""
    return nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)


def rms_norm(width: int) -> nn.Module:
    """RMSNorm with a learned weight."""
    return nn.RMSNorm(width, eps=1e-6)


def modulate(x: Tensor, scale: Tensor, shift: Tensor | None = None) -> Tensor:
    """x (1 + scale) + shift; x (N, T, D), scale and shift (N, 1, D)."""
    return x * (1 + scale) if shift is None else torch.addcmul(shift, x, 1 + scale)


class Modulation(nn.Sequential):
    """adaLN: a condition (N, D) to ``parts`` vectors (N, 1, D)."""

    def __init__(self, width: int, parts: int) -> None:
        super().__init__(nn.SiLU(), nn.Linear(width, parts * width))
        self.parts = parts

    def forward(self, c: Tensor) -> tuple[Tensor, ...]:
        """Shifts, scales and gates."""
        return tuple(super().forward(c)[:, None].chunk(self.parts, dim=-1))


class Attention(nn.Module):
    """Self-attention over tokens (N, T, D); ``norm``, of a head's width, is that of queries and keys, if any."""

    def __init__(self, width: int, heads: int, norm: Norm | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.q_norm = norm(width // heads) if norm else nn.Identity()
        self.k_norm = norm(width // heads) if norm else nn.Identity()
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, rotary: Rotary | None = None, edits: Sequence[Edit] = ()) -> Tensor:
        """(N, T, D) to (N, T, D), under the edits of this block."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        mixed = self._mix(q, k, v, rotary, edits)
        return cast(Tensor, self.proj(mixed.transpose(1, 2).flatten(2)))

    def _mix(self, q: Tensor, k: Tensor, v: Tensor, rotary: Rotary | None, edits: Sequence[Edit]) -> Tensor:
        """Values (N, heads, T, D / heads) averaged by the attention map."""
        if find(edits, "identity_attention"):
            return v  # each token attends to itself alone
        q, k = self.q_norm(q), self.k_norm(k)
        blur = find(edits, "query_blur")
        if blur:
            q = blur_queries(q, blur.amount)  # before the rotary turn: what is asked is blurred, not from where
        if rotary is not None:
            q, k = rotary(q), rotary(k)
        for own, edit in registered(edits, "attention"):
            return cast(Tensor, own.function(edit, q, k, v))
        return F.scaled_dot_product_attention(q, k, v)

    def map(self, x: Tensor, rotary: Rotary | None = None) -> Tensor:
        """The attention map (N, heads, T, T) of tokens (N, T, D) in float32; rows are queries."""
        q, k, _ = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        q, k = self.q_norm(q), self.k_norm(k)
        if rotary is not None:
            q, k = rotary(q), rotary(k)
        scores = q.float() @ k.float().transpose(-2, -1)
        return torch.softmax(scores / math.sqrt(q.shape[-1]), dim=-1)


class Mlp(nn.Module):
    """Two linear layers with tanh-approximated GELU."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, D) to (N, T, D)."""
        return cast(Tensor, self.fc2(_gelu(self.fc1(x))))


class SwiGLU(nn.Module):
    """Gated MLP (Shazeer, arXiv 2002.05202): w3(silu(a) b), where a and b are the halves of w12(x)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.w12 = nn.Linear(width, 2 * hidden)
        self.w3 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, D) to (N, T, D)."""
        gate, value = self.w12(x).chunk(2, dim=-1)
        return cast(Tensor, self.w3(F.silu(gate) * value))


class Block(nn.Module):
    """adaLN-Zero block: attention and MLP, each modulated before and gated after by the condition."""

    def __init__(self, attention: Attention, mlp: nn.Module, width: int, norm: Norm, shift: bool = True) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm(width), norm(width)
        self.attn, self.mlp = attention, mlp
        self.adaLN_modulation = Modulation(width, 6 if shift else 4)

    def forward(self, x: Tensor, c: Tensor, rotary: Rotary | None = None, edits: Sequence[Edit] = ()) -> Tensor:
        """Tokens x (N, T, D) under the condition c (N, D) and the edits of this block."""
        if find(edits, "skip_layers"):
            return x
        parts = self.adaLN_modulation(c)
        *shift1, scale1, gate1 = parts[: len(parts) // 2]  # no shift with "wo_shift"
        *shift2, scale2, gate2 = parts[len(parts) // 2 :]
        attend = edited(partial(self.attn, rotary=rotary, edits=edits), edits, "attention_branch")
        x = torch.addcmul(x, gate1, attend(modulate(self.norm1(x), scale1, *shift1)))
        mlp = edited(self.mlp, edits, "mlp_branch")
        return torch.addcmul(x, gate2, mlp(modulate(self.norm2(x), scale2, *shift2)))

    def attention_map(self, x: Tensor, c: Tensor, rotary: Rotary | None = None) -> Tensor:
        """The attention map (N, heads, T, T) of this block for its input."""
        parts = self.adaLN_modulation(c)
        *shift, scale, _ = parts[: len(parts) // 2]
        return self.attn.map(modulate(self.norm1(x), scale, *shift), rotary)


class FinalLayer(nn.Module):
    """Modulated norm and a linear map to patches: the final head, and the internal one of Internal Guidance."""

    def __init__(self, width: int, patch: int, channels: int, norm: Norm) -> None:
        super().__init__()
        self.norm_final = norm(width)
        self.linear = nn.Linear(width, patch * patch * channels)
        self.adaLN_modulation = Modulation(width, 2)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Tokens x (N, T, D) under the condition c (N, D) to (N, T, patch * patch * channels)."""
        shift, scale = self.adaLN_modulation(c)
        return cast(Tensor, self.linear(modulate(self.norm_final(x), scale, shift)))


def _gelu(x: Tensor) -> Tensor:
    """Tanh-approximated GELU, in the place of x where no gradient asks for it: the widest tensor of a block."""
    if torch.is_grad_enabled():
        return F.gelu(x, approximate="tanh")
    return cast(Tensor, torch.ops.aten.gelu_(x, approximate="tanh"))


def find(edits: Sequence[Edit], kind: str) -> Edit | None:
    """The edit of a kind, if there is one."""
    return next((edit for edit in edits if edit.kind == kind), None)


def registered(edits: Sequence[Edit], place: str) -> Iterator[tuple[OwnEdit, Edit]]:
    """The registered edits that act at a place, with their functions."""
    for edit in edits:
        own = own_edit(edit.kind)
        if own and own.place == place:
            yield own, edit


def edited(run: Callable[[Tensor], Tensor], edits: Sequence[Edit], place: str) -> Callable[[Tensor], Tensor]:
    """A part of a block, tokens (N, T, D) to (N, T, D), under the registered edits of its place."""
    for own, edit in registered(edits, place):
        run = partial(own.function, edit, run)
    return run


def segments(edits: Sequence[Edit], count: int) -> Iterator[tuple[slice, list[Edit]]]:
    """Runs of rows that share their edits, in order; together they are all ``count`` rows of the batch."""
    borders = sorted({0, count, *(border for edit in edits if edit.rows for border in edit.rows)})
    for start, stop in pairwise(borders):
        yield (
            slice(start, stop),
            [edit for edit in edits if edit.rows is None or edit.rows[0] <= start < edit.rows[1]],
        )


def blur_queries(q: Tensor, sigma: float) -> Tensor:
    """Queries (N, heads, T, D / heads), blurred over the square grid of tokens."""
    side = math.isqrt(q.shape[2])
    grid = q.unflatten(2, (side, side)).movedim(-1, 2)
    return gaussian_blur(grid, sigma).movedim(2, -1).flatten(2, 3)


def shuffle_tokens(x: Tensor, edit: Edit, layer: int) -> Tensor:
    """Tokens (N, T, D), each sample's in an order of its own, drawn anew for each block."""
    assert edit.random is not None
    order = edit.random.permutation(f"token_shuffle {layer}", x.shape[1]).to(x.device)
    return x.gather(1, order[..., None].expand_as(x))
