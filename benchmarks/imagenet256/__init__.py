"""ImageNet 256 x 256 at the official checkpoints, as their authors ran them; everything is in ``benchmark.json``."""

from __future__ import annotations

from typing import ClassVar

from guidance_bench.core.parameters import param
from guidance_bench.experiments.benchmark import register_benchmark
from guidance_bench.experiments.published.at_checkpoints import CheckpointBenchmark


@register_benchmark("imagenet256")
class ImageNet256(CheckpointBenchmark):
    """50,000 samples against ADM's reference; ``row=NAME`` is one line of a published table."""

    summary = "ImageNet 256 at official checkpoints (SiT, REPA, LightningDiT, Internal Guidance), published rows"
    file: ClassVar[str] = "benchmark.json"
    metrics: ClassVar[tuple[str, ...]] = ("fid", "sfid", "inception_score", "precision_recall")
    precision: ClassVar[str] = "tf32"


@register_benchmark("imagenet256_5k")
class ImageNet256Small(ImageNet256):
    """The same with 5,000 samples, for tuning: another protocol, never in a table with 50,000."""

    metrics = (*ImageNet256.metrics, "fid_infinity")
    summary = "the same with 5,000 samples, for tuning; FID of 5,000 is another number than FID of 50,000"

    samples: int = param(5000, low=4, doc="samples a run")
