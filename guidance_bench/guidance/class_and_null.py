"""What methods share that combine the prediction with a class and the one without: CFG's relatives."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from .method import Guidance, Guide, Query, Step


class ClassAndNull(Guidance):
    """:meth:`combine` of both predictions, in the method's ``space``; at ``scale`` 1 the class's alone."""

    neutral: ClassVar = {"scale": 1.0}

    if TYPE_CHECKING:
        scale: float

    @abstractmethod
    def combine(self, step: Step, cond: Tensor, null: Tensor) -> Tensor:
        """The guided prediction, from those with the samples' classes and with the null label, (N, C, H, W) each."""

    def evaluations(self, depth: int) -> tuple[float, float]:
        """Two; one at scale 1."""
        return (1, 1) if self.scale == 1 else (2, 2)

    def guide(self, step: Step, query: Query) -> Guide:
        """One batched forward of two."""
        if self.scale == 1:
            return (yield query)
        cond, null = yield query, query.null()
        return self.combine(step, cond, null)
