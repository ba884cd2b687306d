"""Evaluation with a plain dictionary as its result, for notebooks and scripts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.parameters import plain
from ..storage.image_sets import ImageSource
from .evaluate import evaluate as compute


def evaluate(
    samples: str | Path | ImageSource | Sequence[str | Path | ImageSource],
    reference: str | Path | ImageSource,
    *,
    metrics: Sequence[str] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """:func:`guidance_bench.evaluation.evaluate.evaluate`, with the result as the verb ``evaluate`` writes it.

    Returns:
        ``metrics`` (a name: values, mean, sd), ``evaluator``, ``samples`` and the rest of the record.

    Raises:
        UserError: as that function.
    """
    result: dict[str, Any] = plain(compute(samples, reference, metrics, **options).as_dict())
    return result
