"""The leaderboard as one HTML page that needs nothing beside it: tables, figures, protocol, environment, records."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.identity import canonical
from ..experiments.specification import protocol_of
from .captions import protocol_facts
from .comparison.reproductions import reproduction_sheet
from .formats.rows import rows_of, spaces, visible
from .sheets import best_sheet, seeds_field, settings_sheet

if TYPE_CHECKING:
    from .figures.style import Figure
    from .protocol_tables import Table

#: What the page says of the machines and versions.
ENVIRONMENT = ("device", "threads", "world_size", "python", "platform", "guidance_bench", "git", "dirty")


def render(found: Sequence[Table], figures: Sequence[Sequence[Figure]], records: Iterable[Mapping[str, Any]]) -> str:
    """The page.

    Args:
        found: one table a protocol.
        figures: the figures of each table, as written.
        records: every record behind the tables; the page shows them whole, under their run_ids.
    """
    from jinja2 import Environment, StrictUndefined

    options: dict[str, Any] = {"autoescape": True, "trim_blocks": True, "lstrip_blocks": True}
    environment = Environment(undefined=StrictUndefined, finalize=_visible, **options)
    environment.filters["sort_key"] = _sort_key
    template = environment.from_string(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    by_id = {record["run_id"]: record for record in sorted(records, key=lambda r: str(r["time"]))}  # the latest stays
    boards = [_board(table, group, by_id) for table, group in zip(found, figures, strict=True)]
    return template.render(boards=boards, rows_of=rows_of, spaces=spaces) + "\n"


def _board(table: Table, figures: Sequence[Figure], records: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the template shows of one protocol."""
    own = [records[run_id] for ids in table.settings["run_ids"] for run_id in ids]
    return {
        "title": table.benchmark,
        "protocol": table.protocol,
        "facts": {name: value for name, value in protocol_facts(table.settings).items() if name != "Benchmark"},
        "note": table.note,
        "best": [*best_sheet(table.best, table.metrics), seeds_field(table.best)],
        "settings": settings_sheet(table.settings, table.metrics),
        "again": [] if table.again.empty else reproduction_sheet(table.again, table.metrics),
        "plots": [_picture(figure) for figure in figures if not figure.grid],
        "grids": [_picture(figure) for figure in figures if figure.grid],
        "environments": _distinct([_environment(record) for record in own]),
        "evaluators": _distinct([record["evaluator"] for record in own]),
        "definition": _pretty(protocol_of(own[0]["spec"])),
        "records": [_record(record) for record in own],
    }


def _picture(figure: Figure) -> dict[str, str]:
    """A figure as a data address: SVG for plots, PNG for pixels."""
    path, kind = (figure.png, "png") if figure.grid else (figure.svg, "svg+xml")
    data = base64.b64encode(path.read_bytes()).decode()
    return {"title": figure.title, "source": f"data:image/{kind};base64,{data}"}


def _environment(record: Mapping[str, Any]) -> dict[str, Any]:
    environment = record["environment"]
    packages = environment.get("packages", {})
    facts = {key: environment[key] for key in ENVIRONMENT if environment.get(key) is not None}
    return facts | {"packages": ", ".join(f"{name} {version}" for name, version in sorted(packages.items()))}


def _distinct(facts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each once, with the number of runs it holds for."""
    counts: dict[str, int] = {}
    for fact in facts:
        counts[canonical(fact)] = counts.get(canonical(fact), 0) + 1
    return [{"facts": json.loads(text), "runs": count} for text, count in counts.items()]


def _record(record: Mapping[str, Any]) -> dict[str, str]:
    return {
        "run_id": record["run_id"],
        "method": record["spec"]["method"]["name"],
        "seed": record["spec"]["seed"],
        "time": record["time"],
        "command": record["command"],
        "json": _pretty(record),
    }


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)


def _visible(value: Any) -> Any:
    """What a record says, without signs that turn the direction of writing; finished parts of the page as they are."""
    return visible(value) if type(value) is str else value


def _sort_key(key: float | str) -> str:
    """A cell's key as the page's script reads it; nothing for a number that is not there."""
    return "" if isinstance(key, float) and not math.isfinite(key) else str(key)
