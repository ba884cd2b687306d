"""What a preflight found, a line each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: in a word or two.
        state: "ok", "missing" or "wrong" (the run would not start), or "note".
        words: what was found, and the way out.
    """

    what: str
    state: Literal["ok", "missing", "wrong", "note"]
    words: str


def would_start(findings: Sequence[Finding]) -> bool:
    """Whether nothing stands in the way of the run."""
    return all(finding.state in ("ok", "note") for finding in findings)


def text_of(findings: Sequence[Finding]) -> str:
    """A line a finding."""
    return "\n".join(f"{f.state:<8}{f.what:<12}{f.words}" for f in findings)


def in_units(count: float) -> str:
    """Bytes in words."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit in ("B", "kB") else f"{count:.1f} {unit}"
        count /= 1000
    return ""
