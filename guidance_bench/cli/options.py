"""Words of a command line: ``name=value`` options, positional arguments, requests for help."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

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
