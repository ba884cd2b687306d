"""Structural changes of a valid record, and every format that a record can end in."""

from __future__ import annotations

import copy
import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any

from guidance_bench.core.identity import short_hash
from guidance_bench.experiments.records import seal, to_frame
from guidance_bench.leaderboard.formats.csv import settings_csv
from guidance_bench.leaderboard.formats.latex import latex
from guidance_bench.leaderboard.formats.markdown import markdown
from guidance_bench.leaderboard.formats.terminal import terminal
from guidance_bench.leaderboard.page.render import render
from guidance_bench.leaderboard.protocol_tables import tables
from guidance_bench.leaderboard.sheets import best_sheet, compact_sheet, settings_sheet

#: What a hostile or damaged record may hold where something else belongs.
VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    10**400,
    1e308,
    float("nan"),
    "",
    "x",
    "\ud800",
    "=cmd|' /C calc'!A0",
    "\x1b[31mred\x07",
    "<script>alert(1)</script>",
    "| a |\n\n# Heading\n[x](javascript:1)",
    "$x_{$\\input{x}",
    "\u202egnp.exe",
    "x" * 30_000,
    [],
    [[]],
    [None, {"a": 1}],
    {},
    {"a": None},
    {"sd": {"sd": []}},
)
#: Keys that a part of a record may have beside its own.
KEYS = ("=1+1", "\ud800", "\x1b[2J", "<b>", "a|b\n# H", "", "x" * 300, "protocol", "seed", "frechet_distance.sd")


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside a record."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def changes(record: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every place of a record replaced by every value, removed, or given another key; each sealed anew."""
    for path in places(record):
        for number, value in enumerate(VALUES):
            yield f"{path} = VALUES[{number}]", _changed(record, path, lambda o, k, v=value: o.__setitem__(k, v))
        yield f"del {path}", _changed(record, path, lambda o, k: o.__delitem__(k))
        inner = _at(record, path)
        for key in KEYS if isinstance(inner, dict) else ():
            other = next(iter(copy.deepcopy(inner).values()), 1)
            yield f"{path} + {key!r}", _changed(record, (*path, key), lambda o, k, v=other: o.__setitem__(k, v))


def _at(record: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        record = record[key]
    return record


def _changed(record: dict[str, Any], path: tuple[Any, ...], change: Any) -> dict[str, Any]:
    other = copy.deepcopy(record)
    change(_at(other, path[:-1]), path[-1])
    try:
        if path[0] == "spec":
            other["run_id"] = short_hash(other["spec"])
        return other if path[0] == "sha256" else seal(other)
    except (ValueError, TypeError, KeyError):  # not to be sealed: refused without
        return other


def render_all(records: list[dict[str, Any]]) -> dict[str, str]:
    """The records in every text format."""
    found = list(tables(to_frame(records)).values())
    texts = {"page": render(found, [[]] * len(found), records)}
    for number, table in enumerate(found):
        for name, sheet in (
            ("best", best_sheet(table.best, table.metrics)),
            ("settings", settings_sheet(table.settings, table.metrics)),
            ("compact", compact_sheet(table.best, table.metrics)),
        ):
            texts[f"markdown {name} {number}"] = markdown(sheet)
            texts[f"latex {name} {number}"] = latex(sheet, table.caption + table.note, "x")
            texts[f"terminal {name} {number}"] = terminal(sheet)
        texts[f"csv {number}"] = settings_csv(table.settings)
    return texts


def assert_harmless(texts: dict[str, str]) -> None:
    """No format lets a text of a record do anything but be read."""
    for name, text in texts.items():
        text.encode("utf-8")
        assert "\x1b" not in text and "\x07" not in text and "\u202e" not in text, name
        if name.startswith("csv"):
            cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
            assert not [c for c in cells if c[:1] in "=@+-\t\r" and c and not _number(c)], name
        elif name.startswith("markdown"):
            lines = text.splitlines()
            assert all(line.startswith("| ") and line.endswith(" |") for line in lines), name
            assert "<script>" not in text and not re.search(r"(?<!\\)\]\(", text), name
        elif name == "page":
            assert "<script>alert" not in text and "<b>" not in text
        elif name.startswith("latex"):
            plain = text.replace(r"\{", "").replace(r"\}", "")
            assert r"\input" not in text and plain.count("{") == plain.count("}"), name


def _number(text: str) -> bool:
    try:
        json.loads(text.split(" ")[0])
    except ValueError:
        return False
    return True
