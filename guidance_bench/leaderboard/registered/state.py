"""What answers about registered things hang on (our sources, packages, installed plug-ins), and where they are kept."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from ...core.environment import PACKAGES, version_of
from ...core.identity import sha256_of_value, short_hash
from ...experiments.specification import CONTENT
from ...storage.files import sha256_of
from ...storage.hub import cache_folder

METHODS = "guidance_bench.methods"
BACKBONES = "guidance_bench.backbones"  # cards count evaluations on some
#: Entry points of what a board asks about.
GROUPS = (CONTENT, METHODS, "guidance_bench.metrics")


def kept_file(kind: str, *words: object) -> Path:
    """Where this installation keeps answers, of one kind to one question."""
    return cache_folder() / f"{kind}-{short_hash([str(Path(__file__).resolve()), sys.prefix, *words])}.json"


def state(groups: Iterable[str] = GROUPS) -> str:
    """A hash of all that can be told before a plug-in is imported.

    Args:
        groups: of entry points.
    """
    packages = {name: version_of(name) for name in PACKAGES}
    return sha256_of_value(
        {"ours": own_sources(), "python": sys.version, "packages": packages, "plugins": _plugins(groups)}
    )


def own_sources() -> dict[str, str]:
    """Hashes of our own code and declarations, by their place."""
    engine = Path(__file__).parents[2]
    backbones, methods, benchmarks = (_folder(name) for name in (BACKBONES, METHODS, CONTENT))
    files = {*engine.rglob("*.py"), *engine.rglob("*.html"), *backbones.glob("*.py"), *methods.glob("*.py")}
    files |= {file for kind in ("*.py", "*/*.py", "*/*.json") for file in benchmarks.glob(kind)}
    return {str(file): sha256_of(file) for file in sorted(files)}


def sources_in(folders: Iterable[Path]) -> str:
    """A hash of the code and the declarations that lie in folders, not below them."""
    files = {file for folder in folders for kind in ("*.py", "*.json") for file in folder.glob(kind)}
    return sha256_of_value({str(file): sha256_of(file) for file in files if file.is_file()})


def _folder(package: str) -> Path:
    return Path(str(import_module(package).__file__)).parent


def _plugins(groups: Iterable[str]) -> list[Any]:
    """What is installed, and where modules are looked for; nothing where no plug-in is installed."""
    found = entry_points()
    points = [point for group in groups for point in found.select(group=group)]
    return [[_installed(point) for point in points], sys.path, _packages()] if points else []


def _installed(point: EntryPoint) -> list[str | None]:
    """An entry point, and its package as it was installed: an editable one may move and keep its version."""
    told = [point.dist.read_text(name) for name in ("METADATA", "RECORD", "direct_url.json")] if point.dist else []
    return [point.group, point.name, point.value, *told]


def _packages() -> list[str]:
    """Every installed package with its version, as its folder is named."""
    folders = [folder for folder in sys.path if os.path.isdir(folder)]
    return sorted(
        name for folder in folders for name in os.listdir(folder) if name.endswith((".dist-info", ".egg-info"))
    )
