"""The network that SiT and LightningDiT have in common, and the common part of their configuration."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from guidance_bench.core.errors import UserError
from guidance_bench.core.parameters import param
from guidance_bench.networks.backbone import Backbone, BackboneConfig, Edit, Prediction
from guidance_bench.networks.own_edits import PLACES, own_edit

from .blocks import BLOCK_EDITS, Block, FinalLayer, Modulation, Norm, edited, find, registered, segments, shuffle_tokens
from .embeddings import (
    LabelEmbedder,
    PatchEmbed,
    Rotary,
    TimestepEmbedder,
    add_noise,
    mix_with_noise,
    sincos_positions,
    unpatchify,
)


@dataclass
class TransformerConfig(BackboneConfig):
    """What both architectures are configured by; a subclass says what its blocks are made of."""

    input_size: int = param(32, low=1, doc="height and width of a latent")
    patch_size: int = param(2, low=1, doc="height and width of a patch")
    in_channels: int = param(4, low=1, doc="channels of a latent")
    hidden_size: int = param(1152, low=4, doc="width of a token")
    depth: int = param(28, low=1, doc="number of blocks")
    num_heads: int = param(16, low=1, doc="attention heads")
    mlp_ratio: float = param(4.0, doc="width of the MLP over the width of a token")
    num_classes: int = param(1000, low=1, doc="number of classes")
    null_label: bool = param(True, doc="one label more, num_classes, stands for no class")
    learn_sigma: bool = param(False, doc="heads have twice the channels; the second half is not used")
    qk_norm: bool = param(False, doc="queries and keys are normalised")
    tap: int | None = param(None, low=1, doc="block, counted from 1, after which the internal head hangs")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._multiple("input_size", "patch_size")
        self._multiple("hidden_size", "num_heads")
        if self.hidden_size % 4:
            raise UserError(f"{self.name}: hidden_size={self.hidden_size} is not a multiple of 4, as positions need")
        if self.tap is not None and self.tap > self.depth:
            raise UserError(f"{self.name}: tap={self.tap} lies beyond the last block, depth={self.depth}")

    def _multiple(self, name: str, of: str) -> None:
        value, divisor = getattr(self, name), getattr(self, of)
        if value % divisor:
            raise UserError(f"{self.name}: {name}={value} is not a multiple of {of}={divisor}")

    @property
    def tokens_per_side(self) -> int:
        """Side of the square grid of tokens."""
        return self.input_size // self.patch_size

    @property
    def mlp_width(self) -> int:
        """Width of an MLP without gate."""
        return int(self.hidden_size * self.mlp_ratio + 1e-6)  # 1e-6: a ratio n / width must give n back

    @abstractmethod
    def block(self) -> Block:
        """One block."""

    @abstractmethod
    def norm(self) -> Norm:
        """The norm before each branch and head."""

    def rotary(self) -> Rotary | None:
        """Rotary positions, where the architecture has them."""
        return None


class Transformer(Backbone):
    """Diffusion transformer: patches, blocks under the condition of time and class, patches of the velocity.

    Attributes:
        config: the configuration that it was built from.
    """

    edits = BLOCK_EDITS | {"time_noise", "class_noise"}
    edit_places = frozenset(PLACES)
    float32_parts = ("t_embedder", "feat_rope")

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.num_classes, self.null_label, self.depth = config.num_classes, config.null_label, config.depth
        self.shape = (config.in_channels, config.input_size, config.input_size)
        self.trained_taps = () if config.tap is None else (config.tap,)
        self.tokens = config.tokens_per_side**2
        width = config.hidden_size
        self.x_embedder = PatchEmbed(config.patch_size, config.in_channels, width)
        self.t_embedder = TimestepEmbedder(width)
        self.y_embedder = LabelEmbedder(config.num_classes, width, config.null_label)
        self.pos_embed = nn.Parameter(sincos_positions(width, config.tokens_per_side), requires_grad=False)
        self.feat_rope = config.rotary()
        self.blocks = nn.ModuleList(config.block() for _ in range(config.depth))
        if config.tap is not None:
            self.final_layer_xr = self._head()
        self.final_layer = self._head()
        self.apply(_initialise)

    def _head(self) -> FinalLayer:
        config = self.config
        channels = config.in_channels * (2 if config.learn_sigma else 1)
        return FinalLayer(config.hidden_size, config.patch_size, channels, config.norm())

    def check(self, taps: Sequence[int] = (), edits: Sequence[Edit] = (), maps: Sequence[int] = ()) -> None:
        """As the base class; besides, a block's edit must name a block, for it would change nothing otherwise."""
        super().check(taps, edits, maps)
        for edit in edits:
            if (edit.kind in BLOCK_EDITS or own_edit(edit.kind)) and not edit.layers:
                raise UserError(f"edit {edit.kind!r} names no block; give layers out of 1..{self.depth}")

    def predict(
        self, x: Tensor, t: Tensor, y: Tensor, taps: Sequence[int], edits: Sequence[Edit], *, maps: Sequence[int] = ()
    ) -> Prediction:
        """Velocities in the dtype of the parameters, in the network's own convention of time and sign."""
        tokens = self.x_embedder(x.to(self.pos_embed.dtype)) + self.pos_embed
        time = self.t_embedder(t).to(tokens.dtype)
        condition = self._condition(time, y, edits)
        tapped: dict[int, Tensor] = {}
        shown: dict[int, Tensor] = {}
        for layer, block in enumerate(self.blocks, start=1):
            if layer in maps:
                shown[layer] = cast(Block, block).attention_map(tokens, condition, self.feat_rope)
            active = [edit for edit in edits if layer in edit.layers]
            tokens = (
                self._edited(layer, tokens, condition, time, active)
                if active
                else block(tokens, condition, self.feat_rope)
            )
            if layer in taps:
                tapped[layer] = self._velocity(self.final_layer_xr, tokens, condition)
        return Prediction(self._velocity(self.final_layer, tokens, condition), tapped, shown)

    def _condition(self, time: Tensor, y: Tensor, edits: Sequence[Edit]) -> Tensor:
        """Time and class (N, D), under the edits that act everywhere."""
        label = self.y_embedder(y)
        everywhere = [edit for edit in edits if edit.kind == "class_noise" or not edit.layers]
        if not everywhere:
            return time + cast(Tensor, label)
        parts = []
        for rows, own in segments(everywhere, len(y)):
            noise = find(own, "class_noise")
            mixed = mix_with_noise(label[rows], noise) if noise else label[rows]
            parts.append(add_noise(time[rows] + mixed, time[rows], own))
        return torch.cat(parts)

    def _edited(self, layer: int, tokens: Tensor, condition: Tensor, time: Tensor, edits: Sequence[Edit]) -> Tensor:
        """One block, each run of rows under its own edits."""
        parts = [
            self._edited_rows(layer, tokens[rows], add_noise(condition[rows], time[rows], own), own)
            for rows, own in segments(edits, len(tokens))
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _edited_rows(self, layer: int, tokens: Tensor, condition: Tensor, edits: Sequence[Edit]) -> Tensor:
        edits = [replace(edit, layers=(layer,)) for edit in edits]

        def block(tokens: Tensor) -> Tensor:
            return cast(Tensor, self.blocks[layer - 1](tokens, condition, self.feat_rope, edits))

        for own, edit in registered(edits, "tokens"):
            tokens = own.function(edit, tokens)
        run = edited(block, edits, "block")
        shuffle = find(edits, "token_shuffle")
        if not shuffle:
            return run(tokens)
        # The residual stream keeps its order: a block reads shuffled tokens and adds what it makes of them.
        mixed = shuffle_tokens(tokens, shuffle, layer)
        return tokens + run(mixed) - mixed

    def _velocity(self, head: FinalLayer, tokens: Tensor, condition: Tensor) -> Tensor:
        return unpatchify(head(tokens, condition), self.config.patch_size)[:, : self.config.in_channels]


def _initialise(module: nn.Module) -> None:
    """DiT's initialisation (arXiv 2212.09748, section 3.2); ``apply`` comes to a module after its parts.

    Every block starts as the identity and every head at velocity zero.
    """
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        nn.init.xavier_uniform_(module.weight.flatten(1))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, (nn.Embedding, TimestepEmbedder)):
        for weight in module.parameters():
            if weight.dim() > 1:
                nn.init.normal_(weight, std=0.02)
    elif isinstance(module, Modulation):
        for weight in module.parameters():
            nn.init.zeros_(weight)
    elif isinstance(module, FinalLayer):
        nn.init.zeros_(module.linear.weight)
