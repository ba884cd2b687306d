"""What a board must know of what is registered here, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from ...experiments.published.declaration import Declaration

#: Where a class comes from (:attr:`guidance_bench.core.registry.Entry.source`), what names its code.
Code = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class MetricEntry:
    """A metric.

    Attributes:
        title: heading of its column, or of its columns with commas between.
        direction: which way is better.
    """

    title: str
    direction: Literal["lower", "higher"]


@dataclass(frozen=True)
class BenchmarkEntry:
    """A benchmark.

    Attributes:
        primary: the metric that its line-up is tuned by.
        space: name of its feature space.
        tuned_on: the benchmark on whose runs its settings were chosen; "" for none.
        ours: whether it comes with the project.
    """

    primary: str
    space: str
    tuned_on: str
    ours: bool


@dataclass(frozen=True)
class Registered:
    """All of it, each part by name.

    Attributes:
        defaults: of each method, its parameters' as JSON has them, in the order of declaration.
        cards: of each method, its idea, its needs, its papers.
        metrics: each metric.
        benchmarks: each benchmark.
        declarations: of each benchmark that has one, its declarative file.
        code: of everything, by its kind: "method", "metric", "benchmark".
    """

    defaults: Mapping[str, dict[str, Any]]
    cards: Mapping[str, dict[str, Any]]
    metrics: Mapping[str, MetricEntry]
    benchmarks: Mapping[str, BenchmarkEntry]
    declarations: Mapping[str, Declaration | None]
    code: Mapping[str, Mapping[str, Code]]

    def whole(self) -> Registered:
        """The same with every answer in it, however the parts look theirs up."""
        parts = {f.name: dict(getattr(self, f.name)) for f in fields(self)}
        return Registered(**{**parts, "code": {kind: dict(known) for kind, known in self.code.items()}})
