"""The words of ``run``, before anything heavy is imported: Hydra's flags apart, and mistakes that show at once."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

from ...core.errors import UserError, did_you_mean, no_parameter
from ..names import check_name

#: What a word chooses by name.
GROUPS = ("benchmark", "method", "solver")
SCHEMA = Path(__file__).parents[2] / "experiments" / "hydra_schema.py"
#: A name; null, lists, sweeps and paths are not.
NAME = re.compile(r"[A-Za-z_][\w-]*")
DIGITS = 20  # of 2^64 - 1
LONG = re.compile(rf"(?:^|[\s,\[(])[-+]?(\d{{{DIGITS + 1},}})(?:$|[\s,\])])")
TEXTS = (
    "output",
    "records",
    "device",
    "row",
    "backbone",
    "weak",
    "checkpoint",
    "vae",
    "reference",
)  # options that are no numbers, whatever they look like
LISTED = re.compile(r"seeds=\s*(\d+(?:\s*,\s*\d+)*)\s*")


def split_flags(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Hydra's flags with their values, and the overrides, each in the order given.

    Raises:
        UserError: a flag that Hydra does not know, or one without its value.
    """
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        known = ", ".join(name for action in parser._actions for name in action.option_strings)
        raise UserError(f"run: {message} (flags: {known})")

    parser.error = refuse  # type: ignore[method-assign]
    parsed = parser.parse_intermixed_args(list(words))
    modes = [name for name in ("run", "multirun", "cfg", "info", "shell_completion") if getattr(parsed, name)]
    if len(modes) > 1:
        raise UserError(f"run: --{modes[0]} and --{modes[1]} exclude each other")
    overrides: list[str] = parsed.overrides
    flags = list(words)
    for override in overrides:
        flags.remove(override)
    return flags, overrides


def of_benchmark(override: str) -> str:
    """``data=PATH`` as the benchmark's own field."""
    return f"benchmark.{override}" if override.startswith("data=") else override


def as_list(override: str) -> str:
    """``seeds=0,1,2`` as the list that it means; to Hydra it would be a sweep."""
    listed = LISTED.fullmatch(override)
    return f"seeds=[{listed[1]}]" if listed else override


def check_at_once(overrides: Sequence[str]) -> None:
    """Raise :class:`UserError` for an unknown option, name or parameter, where the project's own source tells.

    What it lets pass is checked again, with the registries.
    """
    for override in overrides:
        _check_length(override)
    plain = [override.partition("=") for override in overrides if NAME.match(override) and "=" in override]
    chosen = {"benchmark": "digits", **{key: value for key, _, value in plain if key in GROUPS}}
    fields = {
        group: check_name(group, name, chosen.values())
        for group, name in chosen.items()
        if NAME.fullmatch(name) and name != "null"
    }
    for key, _, _ in plain:
        group, _, parameter = key.partition(".")
        check_option(group.split("@")[0], key, [f"{g}.{f}" for g, known in fields.items() for f in known or ()])
        own = fields.get(group)
        if parameter and own is not None and parameter not in own:
            raise no_parameter(f"{group} {chosen[group]!r}", parameter, own)


def _check_length(override: str) -> None:
    """Raise :class:`UserError` for a number that no option can mean and that Python's own readers stumble over."""
    key, _, value = override.partition("=")
    number = None if key in TEXTS else LONG.search(value)
    if number:
        digits = number[1]
        raise UserError(f"{key}={digits[:12]}... has {len(digits)} digits; numbers have at most {DIGITS}")


def check_option(name: str, key: str = "", fields: Sequence[str] = ()) -> None:
    """Raise :class:`UserError` for an option that ``run`` does not have; ``fields`` are those of what was chosen."""
    known = options()
    if name not in known and not key.startswith(("hydra.", "hydra/")):
        told = f"known: {', '.join(known)}; fields of what is chosen: method.FIELD=VALUE, benchmark.FIELD=VALUE"
        own = [field for field in fields if field.partition(".")[2] == name]
        hint = f"; did you mean {' or '.join(map(repr, own))}?" if own else did_you_mean(name, known)
        raise UserError(f"unknown option {name!r} ({told}){hint}")


@lru_cache
def options() -> tuple[str, ...]:
    """What may stand before the first ``=`` or ``.`` of a word, read from the source of the configuration."""
    tree = ast.parse(SCHEMA.read_text(encoding="utf-8"))
    hidden: tuple[str, ...] = ()
    fields: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "HIDDEN":
            hidden = ast.literal_eval(node.value)
        if isinstance(node, ast.ClassDef) and node.name == "RunConfig":
            fields = [ast.unparse(part.target) for part in node.body if isinstance(part, ast.AnnAssign)]
    return tuple(name for name in fields if name not in hidden)
