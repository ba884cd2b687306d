"""Frechet distance in the feature space of DINOv2."""

from __future__ import annotations

from .base import register_metric
from .fid import FrechetMetric


@register_metric("fd_dinov2")
class FDDinoV2(FrechetMetric):
    """Stein et al., arXiv 2306.04675: features of DINOv2 ViT-L/14 at 224 x 224, its normalised class token (1024)."""

    needs = ("dinov2",)
    layer = "dinov2"
    title = "FD-DINOv2"
    summary = "Frechet distance of DINOv2 ViT-L/14's class token"
