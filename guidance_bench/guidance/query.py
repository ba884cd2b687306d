"""What a method asks for: one evaluation of a network, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from ..networks.backbone import Edit


@dataclass(frozen=True, eq=False)
class Query:
    """One evaluation of a network, as data. The default asks for this sample's class, the main network, the final head.

    Attributes:
        label: "class", "null", or other labels (N,) int.
        net: "main", "weak" (the second network of autoguidance), or the name under which another one was given.
        tap: None for the final head, k for the head after block k, "internal" for the backbone's trained head.
        edits: changes to the forward pass.
        x: other latents (N, C, H, W) instead of the step's.
        t: another time instead of the step's.
        only: samples to evaluate, (N,) bool; the others cost nothing and are answered with NaN. None: all.
        attention: k asks for the attention map of block k, (N, heads, T, T), instead of a velocity.
        slope: of x and the answer, what to give the gradient of with respect to x, instead of a velocity.
    """

    label: Literal["class", "null"] | Tensor = "class"
    net: str = "main"
    tap: int | Literal["internal"] | None = None
    edits: tuple[Edit, ...] = ()
    x: Tensor | None = None
    t: float | None = None
    only: Tensor | None = None
    attention: int | None = None
    slope: Callable[[Tensor, Tensor], Tensor] | None = None

    def null(self) -> Query:
        """The same without a class."""
        return replace(self, label="null")

    def with_label(self, label: Tensor) -> Query:
        """The same for other labels (N,) int."""
        return replace(self, label=label)

    def weak(self, name: str = "weak") -> Query:
        """The same from the weak network, or from the one of several that was given under this name."""
        return replace(self, net=name)

    def internal(self, tap: int | None = None) -> Query:
        """The same from the internal head after block ``tap`` (None: the backbone's trained one)."""
        return replace(self, tap="internal" if tap is None else tap)

    def edited(self, *edits: Edit) -> Query:
        """The same with a changed forward pass."""
        return replace(self, edits=self.edits + edits)

    def where(self, chosen: Tensor) -> Query:
        """The same for some samples alone, (N,) bool."""
        return replace(self, only=chosen)

    def attention_map(self, layer: int) -> Query:
        """The attention map (N, heads, T, T) of a block in the same forward pass."""
        return replace(self, attention=layer)

    def grad(self, of: Callable[[Tensor], Tensor]) -> Query:
        """The gradient with respect to x of a number for each sample of the answer, (N, C, H, W).

        ``of`` gets the answer in the method's space, (N, C, H, W), and returns numbers (N,) or their sum. A backward
        pass is counted as one evaluation; its forward pass is shared with what is asked of the same input beside it.
        """
        return replace(self, slope=lambda _, answer: of(answer))

    def at(self, x: Tensor | None = None, t: float | None = None) -> Query:
        """The same at other latents or another time."""
        return replace(self, x=self.x if x is None else x, t=self.t if t is None else t)


def as_tuple(request: Query | tuple[Query, ...]) -> tuple[Query, ...]:
    """One query as a round of one."""
    return (request,) if isinstance(request, Query) else tuple(request)
