"""The parser of the command line, typer's, made from the table of verbs and each verb's ``HELP``."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

#: The parser's refusals (UsageError of click, or of typer's own copy of it, by the version).
UsageMistake: type[Exception] = typer.BadParameter.__mro__[1]
#: Words reach a verb as they were typed: Hydra's overrides and flags are not ours to read.
VERBATIM = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": ["-h", "--help"]}


def application(verbs: Mapping[str, str], usage: str, version: str) -> Any:
    """The command to call with ``args=``, ``standalone_mode=False``; it gives an exit status, or the verb to call.

    The verb itself is called by the caller, outside the parser, which would turn its Ctrl-C into a status of its own.

    Args:
        verbs: verb -> module inside this package.
        usage: the text of ``--help`` without a verb.
        version: the text of ``--version``.
    """

    class Group(TyperGroup):
        def format_help(self, ctx: Any, formatter: Any) -> None:
            formatter.write(f"{usage}\n")

    app = typer.Typer(
        cls=Group,
        rich_markup_mode=None,
        add_completion=True,
        invoke_without_command=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def options(ctx: typer.Context, show_version: bool = typer.Option(False, "--version", is_eager=True)) -> int:
        if show_version:
            print(version)
        elif ctx.invoked_subcommand is None:
            print(usage)
            return 2
        return 0

    for verb, module in verbs.items():
        app.command(verb, cls=_verb_class(module), context_settings=VERBATIM)(_caller(module))
    return typer.main.get_command(app)


@lru_cache
def help_text(module: str) -> str:
    """``HELP`` of a verb's module, read from its file: importing it would bring torch."""
    path = Path(__file__).parent.joinpath(*module.split(".")).with_suffix(".py")
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "HELP" for t in node.targets):
            return str(ast.literal_eval(node.value))
    return ""


def option_names(text: str) -> list[str]:
    """The options that a help text names, as ``name=``."""
    return sorted(set(re.findall(r"(?<![\w.=(,])[a-z_]+=", text)))


def _verb_class(module: str) -> type[TyperCommand]:
    class Verb(TyperCommand):
        def format_help(self, ctx: Any, formatter: Any) -> None:
            formatter.write(f"{help_text(module)}\n")

    return Verb


def _caller(module: str) -> Callable[..., Callable[[], int]]:
    def complete(incomplete: str) -> list[str]:
        return [name for name in option_names(help_text(module)) if name.startswith(incomplete)]

    def call(words: list[str] = typer.Argument(None, autocompletion=complete)) -> Callable[[], int]:  # noqa: B008
        return lambda: import_module(f"..{module}", __name__).command(words or [])

    return call
