"""The registries asked what a board must know of their entries. Importing this loads torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ...core.code import files_of
from ...core.errors import UserError
from ...core.parameters import plain
from ...core.registry import Registry
from ...experiments.benchmark import BENCHMARKS
from ...experiments.published.declaration import Declaration
from ...guidance.citation import address, papers
from ...guidance.method import METHODS, Guidance, Query
from ...metrics.base import METRICS
from ...networks.backbone import Backbone
from ...sampling.dry_run import counting_network, queries_of
from .entries import BenchmarkEntry, Code, MetricEntry, Registered

T = TypeVar("T")

#: Where the benchmarks that come with the project live.
OURS = "guidance_bench.benchmarks"
#: What a reader can filter methods by.
NULL, WEAK, HEAD, EDIT, FIXED = "null label", "second network", "internal head", "changed forward pass", "fixed steps"
REGISTRIES: dict[str, Registry[Any]] = {"method": METHODS, "metric": METRICS, "benchmark": BENCHMARKS}


class _Asked(Mapping[str, T]):
    """Every name of a registry with the answer to one question, asked when it is looked up."""

    def __init__(self, registry: Registry[Any], question: Callable[[str], T]) -> None:
        self._registry = registry
        self._question = question

    def __getitem__(self, name: str) -> T:
        if name not in self._registry.names():
            raise KeyError(name)
        return self._question(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._registry.names())

    def __len__(self) -> int:
        return len(self._registry.names())


def asked() -> Registered:
    """What is registered in this process at the moment of each look-up."""
    return Registered(
        defaults=_Asked(METHODS, _defaults),
        cards=_Asked(METHODS, _card),
        metrics=_Asked(METRICS, _metric),
        benchmarks=_Asked(BENCHMARKS, _benchmark),
        declarations=_Asked(BENCHMARKS, _declaration),
        code={kind: _Asked(registry, _code_in(registry)) for kind, registry in REGISTRIES.items()},
    )


def plugin_files() -> list[Path] | None:
    """The files of installed plug-ins that count as their code; None where one of them could not be loaded."""
    if any(registry.broken() for registry in REGISTRIES.values()):
        return None
    entries = [registry.entry(name) for registry in REGISTRIES.values() for name in registry.names()]
    return sorted({f for entry in entries if entry.source != "built in" for f in files_of(entry.cls, entry.file)})


def _code_in(registry: Registry[Any]) -> Callable[[str], Code]:
    def code(name: str) -> Code:
        entry = registry.entry(name)
        return entry.source, entry.code

    return code


def _defaults(name: str) -> dict[str, Any]:
    return {p.name: plain(p.default) for p in METHODS.parameters(name)}


def _metric(name: str) -> MetricEntry:
    cls: Any = METRICS.entry(name).cls
    return MetricEntry(cls.title, cls.direction)


def _benchmark(name: str) -> BenchmarkEntry:
    cls: Any = BENCHMARKS.entry(name).cls
    return BenchmarkEntry(str(cls.primary), str(cls.space), str(cls.tuned_on), cls.__module__.startswith(OURS))


def _declaration(name: str) -> Declaration | None:
    make = getattr(BENCHMARKS.entry(name).cls, "declaration", None)
    return None if make is None else make()


def _card(name: str) -> dict[str, Any]:
    method = METHODS.create(name)
    sources = [{"title": title, "url": address(number) if number else ""} for title, number in papers(name)]
    return {"idea": method.summary, "needs": _needs(method, counting_network(method, 12)), "papers": sources}


def _needs(method: Guidance, backbone: Backbone) -> list[str]:
    """What a method asks for with its default parameters, beside the network, a class and a time."""
    try:
        queries = queries_of(method, backbone)
    except UserError:  # needs more than a network to begin
        queries = []
    kinds = {
        NULL: any(isinstance(q.label, str) and q.label == "null" for q in queries),
        WEAK: any(q.net == "weak" for q in queries),
        HEAD: any(q.tap is not None for q in queries),
        EDIT: any(q.edits for q in queries) or any(_looks_inside(q) for q in queries),
        FIXED: method.fixed_grid,
    }
    return [kind for kind, asked_for in kinds.items() if asked_for]


def _looks_inside(query: Query) -> bool:
    return query.attention is not None
