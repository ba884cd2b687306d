"""From images, times, labels and positions to tokens, and back. Module names are those of the official state dicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from guidance_bench.networks.backbone import Edit


class PatchEmbed(nn.Module):
    """Images (N, C, H, W) to tokens (N, T, D): one linear map of each patch, stored as a convolution's weight."""

    def __init__(self, patch: int, channels: int, width: int) -> None:
        super().__init__()
        self.patch = patch
        self.proj = nn.Conv2d(channels, width, patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        """As a matrix product, which a CPU does faster than the convolution."""
        n, c, h, w = x.shape
        grid = x.reshape(n, c, h // self.patch, self.patch, w // self.patch, self.patch)
        patches = grid.permute(0, 2, 4, 1, 3, 5).reshape(n, -1, c * self.patch**2)
        return F.linear(patches, self.proj.weight.flatten(1), self.proj.bias)


def unpatchify(tokens: Tensor, patch: int) -> Tensor:
    """Tokens (N, T, patch * patch * C) of a square grid to images (N, C, H, W)."""
    n, count, _ = tokens.shape
    side = math.isqrt(count)
    grid = tokens.view(n, side, side, patch, patch, -1).permute(0, 5, 1, 3, 2, 4)
    return grid.reshape(n, -1, side * patch, side * patch)


class TimestepEmbedder(nn.Module):
    """Times (N,) to vectors (N, D): 128 cosines, then 128 sines, of rates 1 to 10^-4, through an MLP."""

    def __init__(self, width: int, rates: int = 128) -> None:
        super().__init__()
        self.rates = rates
        self.mlp = nn.Sequential(nn.Linear(2 * rates, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        """The sinusoids are computed in float32, whatever the dtype of the weights."""
        steps = torch.arange(self.rates, dtype=torch.float32, device=t.device)
        angles = t.float()[:, None] * torch.exp(-math.log(10_000) / self.rates * steps)
        waves = torch.cat([angles.cos(), angles.sin()], dim=-1)
        return cast(Tensor, self.mlp(waves.to(next(self.parameters()).dtype)))


def noise_for(embedding: Tensor, edit: Edit) -> Tensor:
    """Gaussian noise in the shape of an embedding (N, D), with the standard deviation of each of its rows."""
    assert edit.random is not None
    noise = edit.random.normal(edit.kind, embedding.shape[1:]).to(embedding)
    return noise * embedding.std(dim=1, keepdim=True)


def add_noise(condition: Tensor, time: Tensor, edits: Sequence[Edit]) -> Tensor:
    """The condition (N, D), time and class together, with the noise that "time_noise" puts on the time embedding.

    The noise is in the scale of the time embedding (N, D), as in the pseudocode of TSG (arXiv 2407.02687).
    """
    edit = next((edit for edit in edits if edit.kind == "time_noise"), None)
    return condition + edit.amount * noise_for(time, edit) if edit else condition


def mix_with_noise(embedding: Tensor, edit: Edit) -> Tensor:
    """The embedding (N, D) with ``amount`` of noise, brought back to its own mean and spread (CADS with psi = 1).

    Sadat et al., "CADS", arXiv 2310.17347. An infinite amount leaves a Gaussian of matched mean and spread, as in ICG
    (arXiv 2407.02687).
    """
    noise = noise_for(embedding, edit)
    mixed = noise if math.isinf(edit.amount) else embedding + edit.amount * noise
    centred = mixed - mixed.mean(dim=1, keepdim=True)
    least = torch.finfo(embedding.dtype).tiny  # of an embedding without spread nothing but its mean is left
    spread = embedding.std(dim=1, keepdim=True) / centred.std(dim=1, keepdim=True).clamp_min(least)
    return embedding.mean(dim=1, keepdim=True) + spread * centred


class LabelEmbedder(nn.Module):
    """Class labels (N,) to vectors (N, D); with a null label the table has one row more, the last."""

    def __init__(self, classes: int, width: int, null: bool) -> None:
        super().__init__()
        self.embedding_table = nn.Embedding(classes + null, width)

    def forward(self, y: Tensor) -> Tensor:
        """Rows of the table."""
        return cast(Tensor, self.embedding_table(y))


def sincos_positions(width: int, side: int) -> Tensor:
    """Fixed positions (1, side * side, width): the column in the first half of the channels, the row in the second.

    The table of MAE (He et al., arXiv 2111.06377), which DiT, SiT and LightningDiT start from: in each half, sines
    come before cosines, of rates 1 down to 10^-4.
    """
    rates = 10_000.0 ** (-torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    angles = torch.arange(side, dtype=torch.float64)[:, None] * rates
    waves = torch.cat([angles.sin(), angles.cos()], dim=-1)
    columns, rows = waves[None].expand(side, side, -1), waves[:, None].expand(side, side, -1)
    return torch.cat([columns, rows], dim=-1).reshape(1, side * side, width).float()


class Rotary(nn.Module):
    """2-D rotary positions of EVA-02 (arXiv 2303.11331): the row turns half of a head's channels, the column the rest.

    Channels 2k and 2k + 1 form a pair. The buffers (T, head width) are part of the official state dicts.
    """

    freqs_cos: Tensor
    freqs_sin: Tensor

    def __init__(self, head: int, side: int) -> None:
        super().__init__()
        rates = 10_000.0 ** (-torch.arange(0, head // 2, 2, dtype=torch.float32) / (head // 2))
        angles = (torch.arange(side, dtype=torch.float32)[:, None] * rates).repeat_interleave(2, dim=-1)
        rows, columns = angles[:, None].expand(side, side, -1), angles[None].expand(side, side, -1)
        turns = torch.cat([rows, columns], dim=-1).flatten(0, 1)
        self.register_buffer("freqs_cos", turns.cos())
        self.register_buffer("freqs_sin", turns.sin())

    def forward(self, x: Tensor) -> Tensor:
        """Queries or keys (N, heads, T, head width), turned."""
        even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
        turned = torch.stack([-odd, even], dim=-1).flatten(-2)
        return torch.addcmul(x * self.freqs_cos, turned, self.freqs_sin).to(x.dtype)
