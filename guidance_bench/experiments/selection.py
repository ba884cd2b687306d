"""Which records a word means, which a board shows, and what of an output folder can go."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import UserError, did_you_mean
from ..core.identity import canonical
from .records import read_records

Record = dict[str, Any]


def select_runs(word: str, pool: Sequence[Record]) -> list[Record]:
    """What a word of the command line means: a record or a folder of records, ids of runs with commas, or a method.

    Raises:
        UserError: nothing is called so.
    """
    if Path(word).expanduser().exists():
        found = read_records(word)
    elif re.fullmatch(r"[0-9a-f]{12}(,[0-9a-f]{12})*", word):
        ids = set(word.split(","))
        found = [record for record in pool if record["run_id"] in ids]
        for missing in sorted(ids - {record["run_id"] for record in found}):
            raise UserError(f"no record of run {missing!r} is there: say where by records=FOLDER")
    else:
        found = [record for record in pool if record["spec"]["method"]["name"] == word]
    if not found:
        known = sorted({record["spec"]["method"]["name"] for record in pool})
        raise UserError(
            f"{word!r} is no path, no id of a run and no method with records here; records=FOLDER says where yours are "
            f"(methods here: {', '.join(known[:40])}){did_you_mean(word, known)}"
        )
    return found


def superseded(records: Iterable[Record]) -> set[str]:
    """Run ids of plug-in methods whose code has changed since: of each name, the code that was run last is the newest.

    Built-in methods are never superseded here: their version is part of what they are compared by.
    """
    codes: dict[str, dict[str, str]] = {}  # name -> code -> the latest time
    for record in records:
        name, code = _code(record)
        if code:
            times = codes.setdefault(name, {})
            times[code] = max(times.get(code, ""), str(record["time"]))
    newest = {name: max(times, key=lambda code: times[code]) for name, times in codes.items()}
    named = ((record["run_id"], *_code(record)) for record in records)
    return {run_id for run_id, name, code in named if code and code != newest[name]}


def _code(record: Record) -> tuple[str, str]:
    """A method's name, and what names its code; "" for a built-in one."""
    method = record["spec"]["method"]
    code = {k: v for k, v in method.items() if k not in ("name", "parameters", "version") and v}
    return method["name"], canonical(code) if code else ""


def without(records: Sequence[Record], words: Iterable[str]) -> list[Record]:
    """The records that are left.

    Args:
        records: all.
        words: ``old`` (:func:`superseded`), a method, ``method@`` with the beginning of its code's sha256 as tables
            show it, or a run's id or its beginning (six signs or more).

    Raises:
        UserError: a word that fits no record.
    """
    out: set[str] = set()
    for word in words:
        fits = superseded(records) if word == "old" else {r["run_id"] for r in records if _fits(r, word)}
        if not fits and word != "old":
            names = sorted({_code(r)[0] for r in records})
            known = f"old, a run id, or a method: {', '.join(names)}"
            raise UserError(f"exclude={word!r} fits no record ({known}){did_you_mean(word, names)}")
        out |= fits
    left = [record for record in records if record["run_id"] not in out]
    if not left:
        raise UserError(f"exclude={','.join(words)} leaves no record")
    return left


def _fits(record: Record, word: str) -> bool:
    name, _, code = word.partition("@")
    method = record["spec"]["method"]
    if method["name"] == name and str(method.get("plugin_sha256") or "built in").startswith(code):
        return True
    return len(word) >= 6 and record["run_id"].startswith(word)


def unfinished(output: Path) -> list[Path]:
    """Folders of runs that hold samples and no record; the same command would continue them."""
    return sorted(path.parent for path in output.glob("*/samples") if not (path.parent / "record.json").exists())
