"""What methods share whose weaker prediction is the same network under an edit of some of its blocks."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from ..networks.backbone import Edit
from .layers import middle_blocks
from .method import Guidance, Guide, Query, Step, extrapolate


class AwayFromEdit(Guidance):
    """v_weak + scale (v_class - v_weak), v_weak with :meth:`edit` in the blocks ``layers``.

    A method declares ``scale`` (1 is no guidance) and ``layers`` (none: the middle third), and says what the edit is.
    """

    neutral: ClassVar = {"scale": 1.0}

    if TYPE_CHECKING:
        scale: float
        layers: tuple[int, ...] | None

    @abstractmethod
    def edit(self, layers: tuple[int, ...], step: Step) -> Edit:
        """What is done to the blocks ``layers`` for the weaker prediction."""

    def evaluations(self, depth: int) -> tuple[float, float]:
        """Two; one at scale 1."""
        return (1, 1) if self.scale == 1 else (2, 2)

    def guide(self, step: Step, query: Query) -> Guide:
        """One batched forward of two."""
        if self.scale == 1:
            return (yield query)
        cond, weak = yield query, query.edited(self.edit(middle_blocks(step.depth, self.layers), step))
        return extrapolate(weak, cond, self.scale)
