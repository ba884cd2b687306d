"""A mixture of Gaussians in the plane with its exact velocity: for tests, and for counting what a method asks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from guidance_bench.core.parameters import param
from guidance_bench.networks.backbone import RANDOM_EDITS, Backbone, BackboneConfig, Edit, Prediction, register_backbone


class ToyMixture(Backbone):
    """Class k is N(m_k, spread^2 I), the means on a circle; "no class" is the even mixture of all.

    The internal head after block 1 predicts for a wider spread: a weaker model of the same data. Every edit widens the
    spread likewise, by a half for each block that it names. A point is one token, whose attention map is 1.
    """

    shape = (2, 1, 1)
    trained_taps = (1,)
    edits = frozenset({"skip_layers", "identity_attention", "query_blur", *RANDOM_EDITS})
    tokens = 1

    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.config = config
        self.num_classes, self.depth = config.num_classes, config.depth
        angles = torch.arange(config.num_classes, dtype=torch.float64) * (2 * math.pi / config.num_classes)
        self.means = nn.Parameter(config.radius * torch.stack([angles.cos(), angles.sin()], 1), requires_grad=False)

    def predict(
        self, x: Tensor, t: Tensor, y: Tensor, taps: Sequence[int], edits: Sequence[Edit], *, maps: Sequence[int] = ()
    ) -> Prediction:
        """The exact velocity of the mixture, (N, 2, 1, 1)."""
        spread = torch.full((len(x), 1, 1), self.config.spread, dtype=torch.float64, device=x.device)
        for edit in edits:
            spread[slice(*edit.rows or (None,))] *= 1 + 0.5 * max(1, len(edit.layers))
        final = self.velocity(x, t, y, spread)
        tapped = {k: self.velocity(x, t, y, spread * self.config.weakness) for k in taps}
        return Prediction(final, tapped, {k: torch.ones(len(x), 1, 1, 1, device=x.device) for k in maps})

    def velocity(self, x: Tensor, t: Tensor, y: Tensor, spread: Tensor) -> Tensor:
        """E[eps - x0 | x_t] for the classes y and the spreads (N, 1, 1), in closed form."""
        point, time = x.double().flatten(1)[:, None], t.double()[:, None, None]
        variance = ((1 - time) * spread) ** 2 + time**2
        residual = point - (1 - time) * self.means  # (N, K, 2)
        weights = torch.softmax(-residual.pow(2).sum(-1) / (2 * variance[..., 0]) + self._allowed(y), dim=1)
        x0 = self.means + (1 - time) * spread**2 / variance * residual
        eps = time / variance * residual
        return (weights[..., None] * (eps - x0)).sum(1).view_as(x).to(x.dtype)

    def _allowed(self, y: Tensor) -> Tensor:
        """0 for the components of a label, minus infinity for the others, (N, K)."""
        own = torch.arange(self.num_classes, device=y.device) == y[:, None]
        return torch.where(own | (y[:, None] == self.num_classes), 0.0, -math.inf).double()

    @property
    def cost(self) -> float:
        """One evaluation."""
        return 1.0


@register_backbone("toy")
class ToyConfig(BackboneConfig):
    """Configuration of :class:`ToyMixture`."""

    summary: ClassVar[str] = "2-D mixture of Gaussians with exact velocity, for tests"

    num_classes: int = param(4, low=1, doc="components, one a class")
    radius: float = param(1.0, doc="of the circle of means")
    spread: float = param(0.25, low=1e-3, doc="standard deviation of a component")
    depth: int = param(2, low=1, doc="blocks that edits can name")
    weakness: float = param(2.0, low=1.0, doc="factor of the spread in the internal head's model")

    def build(self) -> ToyMixture:
        """The mixture; nothing in it is trained."""
        return ToyMixture(self)
