"""What a content package registers, read from its source: names and parameters without importing torch with them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

#: Bases that bring no parameters.
ROOTS = (
    "Guidance", "AwayFromEdit", "ClassAndNull", "Solver", "Benchmark", "Metric", "Backbone", "BackboneConfig",
    "Configurable", "ABC",
)  # fmt: skip


def declared(package: str, kind: str) -> dict[str, list[str] | None]:
    """Each registered name with its parameters, in the order of declaration; None where the source does not tell.

    Nothing at all where something is registered in another way than by a decorator with a plain name.

    Args:
        package: module or package of the built-in entries, as a :class:`~guidance_bench.core.registry.Registry` has it.
        kind: "method", "solver", ...: entries are classes under ``@register_<kind>("name")``.
    """
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in _files(package)]
    classes = {node.name: node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)}
    names = {cls: name for cls, node in classes.items() if (name := _registered(node, f"register_{kind}"))}
    if sum(_calls(tree, f"register_{kind}") for tree in trees) != len(names):
        return {}
    return {name: _fields(classes[cls], classes) for cls, name in sorted(names.items(), key=lambda i: i[1])}


def _files(package: str) -> Iterator[Path]:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return
    yield Path(spec.origin)
    for folder in spec.submodule_search_locations or ():
        yield from sorted(Path(folder).rglob("*.py"))


def _calls(tree: ast.Module, name: str) -> int:
    return sum(
        isinstance(node, ast.Call) and ast.unparse(node.func).endswith((name, ".register")) for node in ast.walk(tree)
    )


def _registered(node: ast.ClassDef, decorator: str) -> str | None:
    for call in node.decorator_list:
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(decorator):
            value = call.args[0]
            return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None
    return None


def _fields(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> list[str] | None:
    """Fields of a dataclass: those of its bases, then its own; a plain base has none of its own, a stranger any."""
    found: dict[str, None] = {}
    for base in map(ast.unparse, node.bases):
        if base in ROOTS:
            continue
        inherited = _fields(classes[base], classes) if base in classes else None
        if inherited is None:
            return None
        found |= dict.fromkeys(inherited)
    if any("register_" in text or "dataclass" in text for text in map(ast.unparse, node.decorator_list)):
        own = (n for n in node.body if isinstance(n, ast.AnnAssign) and "ClassVar" not in ast.unparse(n.annotation))
        found |= dict.fromkeys(ast.unparse(n.target) for n in own)
    return list(found)
