"""A method in a few facts, for readers of a page: idea, source, what it needs of a network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..registered.look_up import registered


def cards(methods: Iterable[str]) -> dict[str, dict[str, Any]]:
    """A card for each method by its name in a table; of a plug-in that is not registered here nothing but the name."""
    known = registered().cards
    return {name: known.get(name.partition("@")[0]) or {"idea": "", "needs": [], "papers": []} for name in methods}
