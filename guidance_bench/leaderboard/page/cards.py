"""A method in a few facts, for readers of a page: idea, source, what it needs of a network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...core.errors import UserError
from ...guidance.citation import address, papers
from ...guidance.method import METHODS, Guidance, Query
from ...sampling.dry_run import counting_network, queries_of

#: What a reader can filter by.
NULL, WEAK, HEAD, EDIT, FIXED = "null label", "second network", "internal head", "changed forward pass", "fixed steps"


def cards(methods: Iterable[str]) -> dict[str, dict[str, Any]]:
    """A card for each method by its name in a table; of a plug-in that is not registered here nothing but the name."""
    found: dict[str, dict[str, Any]] = {}
    for name in methods:
        plain = name.partition("@")[0]
        if plain not in METHODS.names():
            found[name] = {"idea": "", "needs": [], "papers": []}
            continue
        method = METHODS.create(plain)
        sources = [{"title": title, "url": address(number) if number else ""} for title, number in papers(plain)]
        found[name] = {"idea": method.summary, "needs": needs(method, counting_network(method, 12)), "papers": sources}
    return found


def needs(method: Guidance, backbone: Any) -> list[str]:
    """What a method asks for with its default parameters, beside the network, a class and a time."""
    try:
        asked = queries_of(method, backbone)
    except UserError:  # needs more than a network to begin
        asked = []
    kinds = {
        NULL: any(isinstance(q.label, str) and q.label == "null" for q in asked),
        WEAK: any(q.net == "weak" for q in asked),
        HEAD: any(q.tap is not None for q in asked),
        EDIT: any(q.edits for q in asked) or any(_looks_inside(q) for q in asked),
        FIXED: method.fixed_grid,
    }
    return [kind for kind, asked_for in kinds.items() if asked_for]


def _looks_inside(query: Query) -> bool:
    return query.attention is not None
