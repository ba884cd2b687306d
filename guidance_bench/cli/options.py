"""Words of a command line: ``name=value`` options, positional arguments, requests for help."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ..core.errors import UserError, did_you_mean


def wants_help(arguments: Sequence[str]) -> bool:
    """Whether the user asked for help, or said nothing at all."""
    return not arguments or bool({"-h", "--help", "help"} & set(arguments))


def check_options(given: Iterable[str], known: Collection[str]) -> None:
    """Raise :class:`UserError` for an option that is not known."""
    for name in given:
        if name not in known:
            raise UserError(f"unknown option {name!r} (known: {', '.join(known)}){did_you_mean(name, known)}")


def split_options(arguments: Sequence[str], defaults: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """Positional arguments and ``name=value`` options; an unknown option is a :class:`UserError`."""
    positional = [a for a in arguments if "=" not in a]
    given = dict(a.split("=", 1) for a in arguments if "=" in a)
    check_options(given, defaults)
    return positional, {**defaults, **given}


#: Options that name the files of plug-ins.
PLUGINS = {"benchmark": "", "method": "", "solver": ""}


def load_plugins(options: Mapping[str, str]) -> None:
    """Load the files of :data:`PLUGINS`, so that records made with them can be made again.

    Raises:
        UserError: a file that does not exist, cannot be loaded or registers nothing.
    """
    from ..experiments.hydra_schema import GROUPS

    for kind in PLUGINS:
        if options[kind]:
            GROUPS[kind].load_file(options[kind])


def whole_number(name: str, text: str, least: int, most: int = 10**9) -> int:
    """The number that an option's text gives; :class:`UserError` for what is none, or outside ``least..most``."""
    plain = text.isascii() and text.isdigit() and len(text) <= len(str(most))
    if not plain or not least <= int(text) <= most:
        shown = text if len(text) <= 40 else f"{text[:20]}... ({len(text)} characters)"
        bounds = f"of at least {least}" if most == 10**9 else f"in {least}..{most}"
        raise UserError(f"{name}={shown!r} is not a whole number {bounds}")
    return int(text)


def literal(text: str) -> Any:
    """The Python value that a text is; the text itself where it is none."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def truth(name: str, text: str) -> bool:
    """The truth value that an option's text gives; :class:`UserError` for what is none."""
    if text.lower() not in ("true", "false"):
        raise UserError(f"{name}={text!r} is neither true nor false")
    return text.lower() == "true"
