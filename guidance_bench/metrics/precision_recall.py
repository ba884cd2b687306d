"""Precision and recall of samples against a reference (Kynkaanniemi et al., arXiv 1904.06991)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.parameters import param
from .base import Metric, register_metric
from .neighbours import Mode, manifolds

if TYPE_CHECKING:
    from ..features.feature_set import FeatureSet


def precision_recall(reference: Any, samples: Any, k: int = 3, mode: Mode = "fp32") -> tuple[float, float]:
    """(precision, recall) of ``samples`` (M, D) against ``reference`` (N, D), each in [0, 1].

    Args:
        reference: features of real images, NumPy or PyTorch.
        samples: features of generated images.
        k: neighbour that the balls reach to.
        mode: "fp32", or "adm_fp16" for exactly what OpenAI's evaluator gives.

    Raises:
        UserError: a set of at most k points, different D, an unknown mode, or a value that is not finite.
    """
    result = manifolds(reference, samples, k, mode)
    return result.precision, result.recall


@register_metric("precision_recall")
class PrecisionRecall(Metric):
    """Share of samples in the reference's manifold, and of the reference in the samples'."""

    k: int = param(3, low=1, doc="neighbour that the balls reach to")
    mode: str = param(
        "fp32", choices=("fp32", "adm_fp16"), doc="single precision, or the half precision of ADM's program"
    )
    direction = "higher"
    title = "Precision, recall"
    summary = "share of samples in the reference's 3-neighbour manifold, and of the reference in the samples'"

    def compute(self, reference: FeatureSet, samples: FeatureSet) -> dict[str, float]:
        """Columns "precision" and "recall", with the mode behind the name where it is not fp32."""
        self.check_space(reference, samples)
        values = precision_recall(reference.array("features"), samples.array("features"), self.k, self.mode)  # type: ignore[arg-type]
        suffix = "" if self.mode == "fp32" else f"_{self.mode}"
        return {f"precision{suffix}": values[0], f"recall{suffix}": values[1]}
