"""Clean-FID: the Frechet Inception distance after an antialiased resize; not comparable with FID."""

from __future__ import annotations

from .base import register_metric
from .fid import FrechetMetric


@register_metric("clean_fid")
class CleanFID(FrechetMetric):
    """Parmar et al., arXiv 2104.11222: images resized by clean-fid, features of the same Inception network."""

    needs = ("clean",)
    layer = "clean"
    title = "clean-FID"
    summary = "Frechet distance of Inception's features after clean-fid's bicubic antialiased resize"
