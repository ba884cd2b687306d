"""What every backbone offers to the sampler: one call that gives velocities in the project's convention."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..core.errors import UserError
from ..core.parameters import Configurable
from ..core.randomness import KeyedRandom
from ..core.registry import Registry
from .origin import Origin
from .own_edits import own_edit, own_kinds

#: Kinds of edit that draw random numbers.
RANDOM_EDITS = frozenset({"token_shuffle", "time_noise", "class_noise"})
#: Kinds of edit whose ``amount`` is their strength.
MEASURED_EDITS = frozenset({"query_blur", "time_noise", "class_noise"})


@dataclass(frozen=True)
class Edit:
    """A change to the forward pass that makes a weaker prediction; an argument, never an installed hook.

    Kinds, what they do in the blocks ``layers``, and the unit of ``amount``:

    * skip_layers: the block is left out;
    * identity_attention: each token attends to itself alone;
    * query_blur: queries are blurred over the grid of tokens, by ``amount`` tokens;
    * token_shuffle: the block reads its tokens in a random order;
    * time_noise: noise on the time embedding, ``amount`` standard deviations of it
      (no ``layers``: everywhere);
    * class_noise: noise on the class embedding, ``amount`` standard deviations of it, whose mean and spread are kept.

    An infinite amount is allowed: the mean query; nothing but noise. Other kinds are registered with their function
    (:func:`guidance_bench.networks.own_edits.register_edit`).

    Attributes:
        kind: what is changed, one of the backbone's ``edits``.
        layers: blocks that it acts on, counted from 1.
        amount: strength in the edit's own unit, where it has one.
        random: where a random edit draws, one index for each sample that it acts on (``step.random``).
        rows: rows [start, stop) of the batch that it acts on; None: all. The driver sets them to batch edited with
            unedited rows.
    """

    kind: str
    layers: tuple[int, ...] = ()
    amount: float = 0.0
    random: KeyedRandom | None = None
    rows: tuple[int, int] | None = None


@dataclass(frozen=True)
class Prediction:
    """What one forward pass gives.

    Attributes:
        velocity: of the final head, (N, C, H, W).
        taps: velocities of the internal heads asked for, by block, (N, C, H, W).
        maps: attention maps asked for, by block, (N, heads, T, T); rows are queries and sum to one.
    """

    velocity: Tensor
    taps: dict[int, Tensor] = field(default_factory=dict)
    maps: dict[int, Tensor] = field(default_factory=dict)


class Backbone(nn.Module):
    """Base of all backbones. Calls use t = 1 for noise and v = eps - x0, whatever the checkpoint was trained with.

    Attributes:
        num_classes: number of classes; the label ``num_classes`` stands for "no class" where ``null_label`` is true.
        shape: (C, H, W) of a latent.
        depth: number of blocks.
        trained_taps: blocks (counted from 1) that carry a trained head.
        null_label: whether the network was trained with dropped labels.
        edits: kinds of :class:`Edit` that the forward understands.
        edit_places: where registered edits can act (:data:`guidance_bench.networks.own_edits.PLACES`).
        tokens: tokens T of its attention maps, a square grid; 0: it has none to show.
        data_time: the network was trained with t = 0 noise, t = 1 data and v = x0 - eps (upstream SiT, LightningDiT).
            Set by the loader; :meth:`forward` is the only place that converts.
        origin: of a network that was trained here, what its file says of the training. Set by the loader.
        float32_parts: submodules that stay in float32 where the rest is converted to bfloat16.
    """

    num_classes: int
    shape: tuple[int, int, int]
    depth: int
    trained_taps: tuple[int, ...] = ()
    null_label: bool = True
    edits: frozenset[str] = frozenset()
    edit_places: frozenset[str] = frozenset()
    tokens: int = 0
    data_time: bool = False
    origin: Origin | None = None
    float32_parts: tuple[str, ...] = ()

    @abstractmethod
    def predict(
        self, x: Tensor, t: Tensor, y: Tensor, taps: Sequence[int], edits: Sequence[Edit], *, maps: Sequence[int] = ()
    ) -> Prediction:
        """The network in its own convention of time and sign. ``maps`` is given only where ``tokens`` is not 0."""

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        y: Tensor,
        taps: Sequence[int] = (),
        edits: Sequence[Edit] = (),
        *,
        maps: Sequence[int] = (),
    ) -> Prediction:
        """Velocities at x (N, C, H, W), t (N,) in [0, 1] with 1 = noise, y (N,) int labels.

        Args:
            x: latents.
            t: times.
            y: labels; ``num_classes`` is no class.
            taps: blocks whose internal head is read too.
            edits: changes to the forward pass.
            maps: blocks whose attention map is returned too, as it is before any edit of that block.

        Raises:
            UserError: shapes that do not fit, labels that there are not (looked at on a CPU alone, where it costs
                nothing), a tap without a trained head, or an edit or map that this backbone does not know.
        """
        self._check_inputs(x, t, y)
        self.check(taps, edits, maps)
        asked = {"maps": maps} if maps else {}  # a backbone without attention need not know the argument
        prediction = self.predict(x, 1 - t if self.data_time else t, y, taps, edits, **asked)
        if not self.data_time:
            return prediction
        return replace(prediction, velocity=-prediction.velocity, taps={k: -v for k, v in prediction.taps.items()})

    def _check_inputs(self, x: Tensor, t: Tensor, y: Tensor) -> None:
        count = len(x) if x.dim() else 0
        if tuple(x.shape[1:]) != tuple(self.shape):
            raise UserError(f"x of shape {tuple(x.shape)} is not (N, *{tuple(self.shape)})")
        for name, value in (("t", t), ("y", y)):
            if value.shape != (count,):
                raise UserError(f"{name} of shape {tuple(value.shape)} is not ({count},): one for each of x")
        if y.dtype not in (torch.int64, torch.int32):
            raise UserError(f"y of type {y.dtype} are no labels: give y.long()")
        if y.device.type != "cpu" or type(y) is not Tensor or torch.compiler.is_compiling():
            return
        last = self.num_classes - (not self.null_label)
        if count and not (int(y.min()) >= 0 and int(y.max()) <= last):
            raise UserError(f"y must lie in 0..{last}; it holds {int(y.min())} to {int(y.max())}")

    def check(self, taps: Sequence[int] = (), edits: Sequence[Edit] = (), maps: Sequence[int] = ()) -> None:
        """Raise :class:`UserError` where this backbone cannot answer."""
        for tap in taps:
            if tap not in self.trained_taps:
                has = ", ".join(map(str, self.trained_taps)) or "none"
                raise UserError(f"{type(self).__name__} has no trained head after block {tap} (heads after: {has})")
        for edit in edits:
            self._check_kind(edit.kind)
            self._check_layers(f"edit {edit.kind!r}", edit.layers)
            if edit.kind in RANDOM_EDITS and edit.random is None:
                raise UserError(f"edit {edit.kind!r} draws random numbers; give it random=step.random")
            if edit.kind in MEASURED_EDITS and not edit.amount > 0:
                raise UserError(f"edit {edit.kind!r} of amount {edit.amount:g} changes nothing; give it more than 0")
        if maps and not self.tokens:
            raise UserError(f"{type(self).__name__} has no attention maps")
        self._check_layers("attention map", maps)

    def _check_kind(self, kind: str) -> None:
        own = own_edit(kind)
        if own and own.place not in self.edit_places:
            raise UserError(f"{type(self).__name__} has no place {own.place!r} for edit {kind!r}")
        if not own and kind not in self.edits:
            known = sorted(self.edits) + own_kinds() * bool(self.edit_places)
            has = ", ".join(known) or "none"
            raise UserError(f"{type(self).__name__} has no edit {kind!r} (it has: {has})")

    def _check_layers(self, what: str, layers: Sequence[int]) -> None:
        for layer in layers:
            if not 1 <= layer <= self.depth:
                raise UserError(f"{what}: block {layer} is not in 1..{self.depth}")

    def internal_head(self) -> int:
        """The block whose head is meant where a method names none: the first trained one."""
        if not self.trained_taps:
            raise UserError(f"{type(self).__name__} has no trained internal head; Internal Guidance needs one")
        return self.trained_taps[0]

    @property
    def cost(self) -> float:
        """Relative cost of one forward: multiply-accumulates of a sample's matrix products with the weights."""
        return float(sum(p.numel() for n, p in self.named_parameters() if p.dim() > 1 and "embed" not in n))

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device


class BackboneConfig(Configurable):
    """A registered backbone: a dataclass of its configuration that builds the network."""

    #: one line for ``guidance-bench list``
    summary: ClassVar[str] = ""

    @abstractmethod
    def build(self) -> Backbone:
        """A freshly initialised network of this configuration."""


BACKBONES: Registry[BackboneConfig] = Registry("backbone", "guidance_bench.backbones", lambda: BackboneConfig)
register_backbone = BACKBONES.register


def config_of(backbone: Backbone) -> dict[str, Any]:
    """The configuration that a backbone was built from, as plain values."""
    config: BackboneConfig = backbone.config  # type: ignore[assignment]
    return config.parameters()
