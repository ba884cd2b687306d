"""How often a classifier sees the class that a sample was made for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import UserError
from .base import Metric, register_metric

if TYPE_CHECKING:
    from ..features.feature_set import FeatureSet


@register_metric("label_accuracy")
class LabelAccuracy(Metric):
    """Share of samples, in [0, 1], whose largest logit is at the intended label."""

    needs = ("logits", "labels")
    against = "nothing"
    direction = "higher"
    title = "Label accuracy"
    summary = "share of samples that the classifier gives to their intended class"

    def compute(self, reference: FeatureSet, samples: FeatureSet) -> dict[str, float]:
        """One column; the reference is not looked at."""
        logits, labels = samples.array("logits"), samples.array("labels")
        if labels.shape != (len(logits),):
            raise UserError(f"{samples.title}: {len(logits)} logits but labels of shape {labels.shape}")
        return {self.name: float(np.mean(logits.argmax(axis=1) == labels))}
