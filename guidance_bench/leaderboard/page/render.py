"""The leaderboard as one HTML page that needs nothing beside it: tables, cards, figures, sample grids, records.

The best settings stand in the page as a plain table. All else is packed (gzip, base64) and unpacked by the page's
script when it is looked at, so that thousands of records weigh little and cost nothing until they are asked for.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.identity import canonical, once
from ...experiments.specification import protocol_of
from ..captions import bias_note, protocol_facts
from ..comparison.paired import HOW
from ..comparison.reproductions import reproduction_sheet
from ..formats.rows import printable, rows_of, visible
from ..sheets import Field, Sheet, best_sheet, settings_sheet
from .cards import cards
from .grids import grids_of

if TYPE_CHECKING:
    from ..figures.grid_classes import Images
    from ..figures.style import Figure
    from ..protocol_tables import Table
    from ..reported import Reported

#: What the page says of the machines and versions.
ENVIRONMENT = ("device", "threads", "world_size", "python", "platform", "guidance_bench", "git", "dirty")
#: With more records than this the page names them and leaves their text to the files.
IN_FULL = 300


def render(
    found: Sequence[Table],
    figures: Sequence[Sequence[Figure]],
    records: Iterable[Mapping[str, Any]],
    samples: Mapping[str, Images] | None = None,
    *,
    files: Sequence[str] | None = None,
    pictures: Sequence[Sequence[tuple[str, str]]] | None = None,
    sheets: Sequence[str] | None = None,
    reported: Sequence[Reported] = (),
) -> str:
    """The page.

    Args:
        found: one table a protocol.
        figures: the figures of each table, as written.
        records: every record behind the tables; up to :data:`IN_FULL` of them are in the page whole.
        samples: images by run id, for the grids side by side.
        files: of each table, where the record of a run lies, seen from the page, with ``*`` for its id; the records are
            then not in the page.
        pictures: of each table, figures as (title, address) beside the page.
        sheets: of each table, where the pictures of ``samples`` lie, likewise; else they are in the page.
        reported: rows that papers printed, tables of their own.
    """
    from jinja2 import Environment, StrictUndefined

    options: dict[str, Any] = {"autoescape": True, "trim_blocks": True, "lstrip_blocks": True}
    environment = Environment(undefined=StrictUndefined, finalize=_visible, **options)
    environment.filters |= {"sort_key": _sort_key, "visible": visible}
    template = environment.from_string(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    by_id = {record["run_id"]: record for record in sorted(records, key=lambda r: str(r["time"]))}  # the latest stays
    boards = [_board(table, by_id) for table in found]
    methods = sorted({str(name) for table in found for name in table.best["method"]})
    places = sheets or [""] * len(found)
    parts = zip(found, figures, places, strict=True)
    packed_boards = [_packed(table, group, by_id, samples or {}, place) for table, group, place in parts]
    for place, board in enumerate(packed_boards):
        board["file"] = files[place] if files else ""
        board["pictures"] = [{"title": title, "address": at} for title, at in pictures[place]] if pictures else []
    whole = not files and len(by_id) <= IN_FULL
    packed = {
        "cards": cards(methods),
        "boards": packed_boards,
        "records": {k: _pretty(r) for k, r in sorted(by_id.items())} if whole else {},
    }
    return template.render(boards=boards, reported=reported, how=HOW, rows_of=rows_of, data=_pack(packed)) + "\n"


def _board(table: Table, records: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the template writes of one protocol."""
    own = [records[run_id] for ids in table.settings["run_ids"] for run_id in ids]
    return {
        "title": table.title,
        "protocol": table.protocol,
        "facts": {name: value for name, value in protocol_facts(table.settings).items() if name != "Benchmark"},
        "note": f"{table.note} {bias_note(table.settings, table.metrics)}".strip(),
        "best": _metric_first(best_sheet(table.best, table.metrics)),
        "again": [] if table.again.empty else reproduction_sheet(table.again, table.metrics),
        "index": [list(table.settings.index).index(i) for i in table.best.index],
        "environments": _distinct([record["environment"] for record in own], _environment),
        "evaluators": _distinct([record["evaluator"] for record in own]),
        "definition": _pretty(protocol_of(own[0]["spec"])),
    }


def _metric_first(sheet: Sheet) -> Sheet:
    """The ranking metric beside the method, so that a narrow screen shows both."""
    method, setting, metric, *rest = sheet
    return [method, metric, setting, *rest]


def _packed(
    table: Table,
    figures: Sequence[Figure],
    records: Mapping[str, Mapping[str, Any]],
    samples: Mapping[str, Images],
    sheets: str,
) -> dict[str, Any]:
    """What the script shows of one protocol."""
    sheet = _metric_first(settings_sheet(table.settings, table.metrics))[:-1]  # runs have a place of their own
    runs = [
        [[run_id, int(seed), records[run_id]["command"]] for run_id, seed in zip(ids, seeds, strict=True)]
        for ids, seeds in zip(table.settings["run_ids"], table.settings["seeds"], strict=True)
    ]
    return {
        "columns": [{"title": f.title, "arrow": f.arrow, "space": f.space, "numeric": f.numeric} for f in sheet],
        "rows": [list(row) for row in zip(*(_cells(field) for field in sheet), strict=True)],
        "runs": runs,
        "figures": [
            {"title": figure.title, "svg": figure.svg.read_text(encoding="utf-8")}
            for figure in figures
            if not figure.grid
        ],
        "grids": grids_of(table, samples, sheets),
    }


def _cells(field: Field) -> list[list[Any]]:
    """Each cell as [text, sort key, bold]; the key is left out where it is the text."""
    made = []
    for cell in field.cells:
        text, key = printable(cell.text), _sort_key(cell.key)
        made.append([text, "" if key == text else key, int(cell.bold)])
    return made


def _pack(value: Any) -> str:
    """JSON, compressed, as text; equal values give equal text."""
    plain = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return base64.b64encode(gzip.compress(plain.encode(), 9, mtime=0)).decode()


def unpack(page: str) -> Any:
    """What a page holds in packed form."""
    text = page.split('<script type="application/octet-stream" id="data">')[1].split("</script>", maxsplit=1)[0]
    return json.loads(gzip.decompress(base64.b64decode(text)))


def _environment(environment: Mapping[str, Any]) -> dict[str, Any]:
    packages = environment.get("packages", {})
    facts = {key: environment[key] for key in ENVIRONMENT if environment.get(key) is not None}
    return facts | {"packages": ", ".join(f"{name} {version}" for name, version in sorted(packages.items()))}


def _distinct(parts: Sequence[Any], shown: Callable[[Any], Any] = dict) -> list[dict[str, Any]]:
    """What is shown of each part, each once, with the number of runs it holds for."""
    text = once(lambda part: canonical(shown(part)))
    return [{"facts": json.loads(facts), "runs": count} for facts, count in Counter(map(text, parts)).items()]


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)


def _visible(value: Any) -> Any:
    """What a record says, without signs that turn the direction of writing; finished parts of the page as they are."""
    return visible(value) if type(value) is str else value


def _sort_key(key: float | str) -> str:
    """A cell's key as the page's script reads it; nothing for a number that is not there."""
    if isinstance(key, float):
        return f"{key:.9g}" if math.isfinite(key) else ""
    return str(key)
