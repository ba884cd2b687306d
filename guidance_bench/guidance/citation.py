"""The papers of methods as BibTeX, from the ``paper`` that each method's class names."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .authors import AUTHORS
from .method import METHODS

ARXIV = re.compile(r"arXiv (\d{4}\.\d{4,5})")
#: What BibTeX and LaTeX would read as their own.
SIGNS = {"&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}"}


def papers(method: str) -> list[tuple[str, str | None]]:
    """The sources of a method: title and arXiv number; None where there is none (a program, a model's card)."""
    found = []
    for part in filter(None, (p.strip() for p in METHODS.entry(method).cls.paper.split(";"))):  # type: ignore[attr-defined]
        number = ARXIV.search(part)
        found.append((ARXIV.sub("", part).strip().rstrip(","), number[1] if number else None))
    return found


def bibtex(methods: Iterable[str]) -> str:
    """An entry for each source of the methods, once; a comment above says of which methods it is.

    Where the authors of a paper could not be confirmed, the comment says so, and the entry's address leads to them.
    """
    users: dict[tuple[str, str | None], list[str]] = {}
    for method in methods:
        for paper in papers(method):
            users.setdefault(paper, []).append(method)
    return "\n\n".join(f"% {', '.join(names)}{_missing(paper[1])}\n{_entry(*paper)}" for paper, names in users.items())


def _missing(number: str | None) -> str:
    return "" if number is None or number in AUTHORS else " (authors: see the url)"


def address(number: str) -> str:
    """Where a paper is."""
    return f"https://arxiv.org/abs/{number}"


def _entry(title: str, number: str | None) -> str:
    key = f"arxiv{number.replace('.', '_')}" if number else re.sub(r"\W+", "_", title.lower()).strip("_")
    fields = {"title": f"{{{_escaped(title)}}}"}
    if number in AUTHORS:
        fields["author"] = AUTHORS[number]
    if number:
        fields |= {"year": f"20{number[:2]}", "eprint": number, "archivePrefix": "arXiv", "url": address(number)}
    lines = [f"  {name:<13} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@misc{{{key},", *lines, "}"])


def _escaped(text: str) -> str:
    return "".join(SIGNS.get(sign, sign) for sign in text)
