"""What methods share that combine the prediction with a class and the one without: CFG's relatives."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from torch import Tensor

from .method import Guidance, Guide, Query, Step


class ClassAndNull(Guidance):
    """:meth:`combine` of both predictions, in the method's ``space``; at the neutral setting the class's alone."""

    neutral: ClassVar = {"scale": 1.0}

    @abstractmethod
    def combine(self, step: Step, cond: Tensor, null: Tensor) -> Tensor:
        """The guided prediction, from those with the samples' classes and with the null label, (N, C, H, W) each."""

    def evaluations(self, depth: int) -> tuple[float, float]:
        """Two; one at the neutral setting."""
        return (1, 1) if self._is_neutral() else (2, 2)

    def guide(self, step: Step, query: Query) -> Guide:
        """One batched forward of two."""
        if self._is_neutral():
            return (yield query)
        cond, null = yield query, query.null()
        return self.combine(step, cond, null)

    def _is_neutral(self) -> bool:
        """Never where none is declared."""
        return bool(self.neutral) and all(getattr(self, name) == value for name, value in self.neutral.items())
