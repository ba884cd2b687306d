"""Names and paths of a command line, looked at before anything heavy is imported, so that a mistake is told at once."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path

from ..core.errors import UserError, unknown
from .declared import declared

#: Where the built-in entries of each kind stand, as their registries have it.
PACKAGES = {
    "benchmark": "guidance_bench.benchmarks",
    "method": "guidance_bench.methods",
    "solver": "guidance_bench.sampling.solvers",
    "metric": "guidance_bench.metrics",
    "recipe": "guidance_bench.training.recipes",
    "source": "guidance_bench.training.sources",
    "autoencoder": "guidance_bench.networks.autoencoders",
}


def check_name(kind: str, name: str, beside: Iterable[str] = ()) -> list[str] | None:
    """The parameters of a registered name; None where the project's own source does not tell, and registries must:
    a plug-in may have registered more.

    Args:
        kind: of :data:`PACKAGES`.
        name: registered, or a .py file.
        beside: other words of the command; a file among them may register the name.

    Raises:
        UserError: a name that is not registered, or a file of the user's that does not exist.
    """
    if name.endswith(".py"):
        if not Path(name).expanduser().is_file():
            raise UserError(f"{kind} file {name!r} does not exist")
        return None
    loaded = "torch" in sys.modules  # nothing is saved then, and a program may have registered its own
    if loaded or any(word.endswith(".py") for word in beside) or entry_points(group=f"guidance_bench.{kind}s"):
        return None
    known = declared(PACKAGES[kind], kind)
    if known and name not in known:
        raise unknown(kind, name, known, in_files=True)
    return known.get(name)


def check_path(path: str, wanted: str) -> None:
    """Raise :class:`UserError` for a path that does not exist; ``wanted`` says what to give."""
    if not Path(path).expanduser().exists():
        raise UserError(f"{path!r} does not exist: give {wanted}")
