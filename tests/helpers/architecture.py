"""The engine's packages and their imports as a Mermaid picture: ``python tests/helpers/architecture.py`` writes it."""

from __future__ import annotations

import re
from pathlib import Path

import grimp

PAGE = Path(__file__).parents[2] / ".github" / "CONTRIBUTING.md"
MARK = r"<!-- architecture -->.*<!-- /architecture -->"
#: What lies beside the engine (content, tests) is in the graph or not by how the project is installed: left out.
ENGINE = {folder.name for folder in (Path(__file__).parents[2] / "guidance_bench").iterdir() if folder.is_dir()}


def package(module: str) -> str | None:
    """The engine's package that holds a module."""
    parts = module.split(".")
    return parts[1] if len(parts) > 2 and parts[1] in ENGINE else None


def imports() -> dict[str, set[str]]:
    """The packages that each package imports."""
    graph = grimp.build_graph("guidance_bench", cache_dir=None)
    found: dict[str, set[str]] = {}
    for module in graph.modules:
        own = package(module)
        if own is None:
            continue
        others = {package(m) for m in graph.find_modules_directly_imported_by(module)}
        found.setdefault(own, set()).update(o for o in others if o and o != own)
    return found


def reduced(edges: dict[str, set[str]]) -> dict[str, set[str]]:
    """Without the arrows that a longer path implies."""

    def below(start: str) -> set[str]:
        return {start}.union(*(below(other) for other in edges.get(start, ())))

    return {
        source: {t for t in targets if not any(t in below(other) for other in targets if other != t)}
        for source, targets in edges.items()
    }


def mermaid() -> str:
    """The picture as text."""
    edges = reduced(imports())
    lines = [f"    {source} --> {target}" for source in sorted(edges) for target in sorted(edges[source])]
    return "\n".join(["```mermaid", "flowchart TD", *lines, "```"])


def rendered(text: str) -> str:
    """The page with its picture made anew."""
    picture = f"<!-- architecture -->\n{mermaid()}\n<!-- /architecture -->"
    return re.sub(MARK, lambda _: picture, text, flags=re.S)


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
