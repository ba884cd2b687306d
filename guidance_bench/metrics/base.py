"""What a metric is: one small class, one registry row."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Literal

from ..core.errors import UserError
from ..core.parameters import Configurable
from ..core.registry import Registry

if TYPE_CHECKING:  # a feature set computes its statistics with this package
    from ..features.feature_set import FeatureSet


class Metric(Configurable):
    """A metric over features of reference and sample images.

    Attributes:
        needs: features that it asks of the samples: "features" (N, D), "spatial" (N, 2023), "logits" (N, classes),
            "labels" (N,) intended classes, ...
        against: what it asks of the reference: the same features, their statistics alone, or nothing.
        space: the one network whose features give the number its name; None where any will do.
        direction: whether lower or higher is better.
        title: column heading.
        summary: one line for ``guidance-bench list``.
    """

    needs: ClassVar[tuple[str, ...]] = ("features",)
    against: ClassVar[Literal["features", "statistics", "nothing"]] = "features"
    space: ClassVar[str | None] = None
    direction: ClassVar[Literal["lower", "higher"]] = "lower"
    title: ClassVar[str] = ""
    summary: ClassVar[str] = ""

    @abstractmethod
    def compute(self, reference: FeatureSet, samples: FeatureSet) -> dict[str, float]:
        """Values by column name (usually the metric's own name alone).

        Raises:
            UserError: a needed feature is missing, or the sets are too small.
        """

    def check_space(self, *sets: FeatureSet) -> None:
        """Raise :class:`UserError` unless all sets are in one feature space, and in the metric's own if it has one."""
        spaces = {s.space for s in sets}
        if self.space:
            spaces.add(self.space)
        if len(spaces) > 1:
            one, other = sorted(spaces)[:2]
            raise UserError(
                f"{self.name}: features of {one or 'an unnamed network'!r} and {other!r} cannot be compared"
            )


def compute_all(metrics: Iterable[Metric], reference: FeatureSet, samples: FeatureSet) -> dict[str, float]:
    """The values of all metrics, by column name.

    Raises:
        UserError: as :meth:`Metric.compute`.
    """
    values: dict[str, float] = {}
    for metric in metrics:
        values |= metric.compute(reference, samples)
    return values


METRICS: Registry[Metric] = Registry("metric", "guidance_bench.metrics", lambda: Metric)
register_metric = METRICS.register
