"""What was checked of a record, and how it came out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "differs", "not checked"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        what: in a word or two.
        verdict: how it came out.
        words: what was compared, and what was found.
    """

    what: str
    verdict: Verdict
    words: str


def compared(what: str, same: bool, ok: str, differs: str) -> Check:
    """A check of two things that are the same or not."""
    return Check(what, "ok" if same else "differs", ok if same else differs)


def verified(checks: Sequence[Check]) -> bool:
    """Whether nothing differs."""
    return all(check.verdict != "differs" for check in checks)


def text_of(checks: Sequence[Check]) -> str:
    """A line for each check."""
    return "\n".join(f"{check.verdict:<11}  {check.what:<13}  {check.words}" for check in checks)
