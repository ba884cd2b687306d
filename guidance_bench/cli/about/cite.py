"""``guidance-bench cite METHOD...``: the papers of methods as BibTeX."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.errors import UserError
from ..names import check_name
from ..options import wants_help

HELP = """\
guidance-bench cite METHOD [METHOD ...]

  METHOD   a registered method, or a Python file that registers some

The papers of the methods as BibTeX, each once (> references.bib)."""


def command(arguments: Sequence[str]) -> int:
    """Print the entries.

    Raises:
        UserError: an unknown method, or one that names no paper.
    """
    if wants_help(arguments):
        print(HELP)
        return 0 if arguments else 2
    for word in arguments:
        check_name("method", word)

    from ...guidance.citation import bibtex, papers
    from ...guidance.method import METHODS

    names: list[str] = []
    for word in arguments:
        names += METHODS.load_file(word) if word.endswith(".py") else [METHODS.entry(word).name]
    for name in names:
        if not papers(name) and name != "none":
            raise UserError(f'method {name!r} names no paper: give its class paper = "Title, arXiv 2410.02416"')
    text = bibtex(names)
    if text:
        print(text)
    return 0
