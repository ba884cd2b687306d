"""Which code a plug-in runs: the hash of the source that was executed, and of the local modules that it imports.

Local is what no package manager installed: a module beside the plug-in, in the working folder, on PYTHONPATH, or of an
editable install; for a plug-in that is installed itself, the modules of its own package too. Every ``import`` statement
counts, also inside functions. What cannot be seen: modules named by a string (``importlib.import_module``), data files,
and a class's constants that other code sets from outside.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import linecache
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

from .errors import UserError
from .identity import canonical

#: Our own package: its built-in content is named by versions, not by hashes.
OURS = __name__.partition(".")[0]

#: Source as it was executed, by module; the second object of a pair keeps the key alive.
_executed: dict[int, tuple[object, bytes]] = {}


def remember(module: ModuleType, source: bytes | None = None) -> bytes:
    """The source that a module was executed from: what is given here first, else its file at the first question.

    A reloaded module has a new specification, so it is asked anew.
    """
    key: object = module.__spec__ or module
    if id(key) not in _executed:
        _executed[id(key)] = (key, _read(module.__file__) if source is None else source)
    return _executed[id(key)][1]


def hash_of_class(cls: type, file: str) -> str:
    """The sha256 of a class's code, hex: of its file alone, or of the file and the local modules that it imports."""
    module = sys.modules.get(cls.__module__)
    if module is None or not _same(getattr(module, "__file__", None), file):
        return sha256(_read(file))
    return _hash_of_module(module)


def files_of(cls: type, file: str) -> list[Path]:
    """The files whose sources :func:`hash_of_class` counts."""
    module = sys.modules.get(cls.__module__)
    if module is None or not _same(getattr(module, "__file__", None), file):
        return [Path(file)]
    return [Path(file), *(Path(local.file) for local in _imported(module).values())]


def hash_of_cell(cls: type, text: str) -> str:
    """The sha256 of a class that stands in a notebook's cell, hex.

    It counts the cell, and what the cell's class refers to by a global name: functions and classes of other cells,
    local modules.
    """
    others = {name: code for name, code in sorted(_referred(cls, text).items())}
    own = sha256(text.encode())
    return own if not others else sha256(canonical({"cell": own, "refers": others}).encode())


def check_neighbours(module: ModuleType, file: Path) -> None:
    """Raise :class:`UserError` where a file imports a module that lies beside it and has got another of that name."""
    for name in _names(remember(module), ""):
        loaded = getattr(sys.modules.get(name), "__file__", None)
        beside = [file.parent / f"{name}.py", file.parent / name / "__init__.py"]
        if loaded is None or "." in name or not any(place.is_file() for place in beside):
            continue
        if not any(_same(loaded, str(place)) for place in beside):
            raise UserError(f"it imports {name!r} and gets {loaded!r}, not the one beside it: rename that")


def sha256(data: bytes) -> str:
    """In hex."""
    return hashlib.sha256(data).hexdigest()


def _read(file: str | None) -> bytes:
    try:
        return Path(file or "").read_bytes()
    except OSError:
        return b""


def _same(file: str | None, other: str) -> bool:
    return file is not None and Path(file).resolve() == Path(other).resolve()


def _hash_of_module(module: ModuleType) -> str:
    own, others = sha256(remember(module)), {name: sha256(local.source) for name, local in _imported(module).items()}
    return own if not others else sha256(canonical({"file": own, "modules": others}).encode())


class _Local(NamedTuple):
    """A local module."""

    source: bytes
    package: str
    file: str


def _imported(root: ModuleType) -> dict[str, _Local]:
    """The local modules that a module imports, and those that they import, sorted by name."""
    found: dict[str, _Local] = {}
    top = root.__name__.partition(".")[0]
    waiting, seen = [(remember(root), root.__package__ or "")], {root.__name__}
    while waiting:
        for name in _names(*waiting.pop()):
            if name in seen:
                continue
            seen.add(name)
            local = _local(name, top)
            if local is not None:
                found[name] = local
                waiting.append((local.source, local.package))
    return dict(sorted(found.items()))


def _names(source: bytes, package: str) -> Iterator[str]:
    """Every module that a source may import, the packages that lead to it too."""
    for level, name in _statements(source):
        parts = package.split(".") if level else []
        parts = parts[: len(parts) - (level - 1)] if level > 1 else parts
        parts = [*parts, *([name] if name else [])]
        whole = ".".join(parts).split(".")
        yield from (".".join(whole[:i]) for i in range(1, len(whole) + 1))


@lru_cache(maxsize=1024)
def _statements(source: bytes) -> tuple[tuple[int, str], ...]:
    """The import statements of a source: number of leading dots, name. ``from a import b`` may mean module a.b."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return ()
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            found += [(node.level, ".".join(filter(None, (base, alias.name)))) for alias in node.names]
    return tuple(dict.fromkeys(found))


def _local(name: str, top: str) -> _Local | None:
    """A module where it is local, or belongs to the plug-in's own package ``top``; else None."""
    first = name.partition(".")[0]
    if not first or first == OURS or first in sys.stdlib_module_names:
        return None
    module = sys.modules.get(name)
    spec = _unloaded(name) if module is None else None
    file = spec.origin if spec else getattr(module, "__file__", None)
    if file is None or (first != top and _installed(first, file)):
        return None
    if module is not None:
        return _Local(remember(module), module.__package__ or "", file)
    package = name if spec and spec.submodule_search_locations else name.rpartition(".")[0]
    return _Local(_read(file), package, file)


def _unloaded(name: str) -> ModuleSpec | None:
    """Where a module that is imported later, inside a function, would come from."""
    parent, _, _ = name.rpartition(".")
    if parent and parent not in sys.modules:
        return None
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, AttributeError, ValueError):
        return None
    return spec if spec and spec.origin and Path(spec.origin).is_file() else None


def _installed(top: str, file: str) -> bool:
    """Whether a package manager put a top-level package there."""
    path = Path(file).resolve()
    if {"site-packages", "dist-packages"} & set(path.parts):
        return True
    if any(path.is_relative_to(folder) for folder in _standard_library()):
        return True
    root = next((folder.parent for folder in path.parents if folder.name == top), path.parent)
    return top in _recorded(root)


@cache
def _standard_library() -> tuple[Path, ...]:
    return tuple(Path(sysconfig.get_paths()[key]).resolve() for key in ("stdlib", "platstdlib"))


@cache
def _recorded(root: Path) -> frozenset[str]:
    """Top-level names that the installations in a folder (``pip install --target``) list as theirs."""
    lines = [line for record in root.glob("*.dist-info/RECORD") for line in record.read_text().splitlines()]
    return frozenset(line.partition(",")[0].partition("/")[0].removesuffix(".py") for line in lines)


def _referred(cls: type, text: str) -> dict[str, str]:
    """What a notebook's class refers to outside its cell, by name: sha256 of its source."""
    found: dict[str, str] = {}
    waiting: list[Any] = [cls]
    while waiting:
        for name, value in _globals_used(waiting.pop()):
            if name in found:
                continue
            if isinstance(value, ModuleType):
                if _local(value.__name__, "") is not None:
                    found[name] = _hash_of_module(value)
            elif inspect.isfunction(value) or inspect.isclass(value):
                source = _source_elsewhere(value, text)
                if source:
                    found[name] = sha256(source)
                    waiting.append(value)
    return found


def _globals_used(thing: Any) -> Iterator[tuple[str, Any]]:
    functions = [f for f in vars(thing).values() if inspect.isfunction(f)] if inspect.isclass(thing) else [thing]
    for function in functions:
        for name in sorted(_code_names(function.__code__)):
            if name in function.__globals__:
                yield name, function.__globals__[name]


def _code_names(code: CodeType) -> set[str]:
    inner = (_code_names(c) for c in code.co_consts if isinstance(c, CodeType))
    return set(code.co_names).union(*inner)


def _source_elsewhere(value: Any, text: str) -> bytes:
    """The source of a function or class of another cell or a local module; nothing where it is installed or ours."""
    module = sys.modules.get(value.__module__)
    if value.__module__ != "__main__" and module is not None:
        return b"" if _local(value.__module__, "") is None else _hash_of_module(module).encode()
    functions = [f for f in vars(value).values() if inspect.isfunction(f)] if inspect.isclass(value) else [value]
    origins = sorted({f.__code__.co_filename for f in functions})
    cells = ["".join(linecache.getlines(origin)) for origin in origins]
    return "".join(cell for cell in cells if cell != text).encode()
