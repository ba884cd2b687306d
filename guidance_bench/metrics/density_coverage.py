"""Density and coverage: as precision and recall, but not fooled by an outlier's large ball."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.parameters import param
from .base import Metric, register_metric
from .neighbours import manifolds

if TYPE_CHECKING:
    from ..features.feature_set import FeatureSet


@register_metric("density_coverage")
class DensityCoverage(Metric):
    """Density and coverage of Naeem et al., arXiv 2002.09797, equations 6 and 8."""

    k: int = param(5, low=1, doc="neighbour that the reference's balls reach to")
    direction = "higher"
    title = "Density, coverage"
    summary = "how many of the reference's 5-neighbour balls hold a sample, and how often (arXiv 2002.09797)"

    def compute(self, reference: FeatureSet, samples: FeatureSet) -> dict[str, float]:
        """Columns "density" (may exceed 1) and "coverage" in [0, 1]."""
        self.check_space(reference, samples)
        result = manifolds(reference.array("features"), samples.array("features"), self.k)
        return {"density": result.density, "coverage": result.coverage}
