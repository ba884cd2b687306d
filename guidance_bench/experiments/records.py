"""Records: one small JSON for each run; schema, validation, and loading into pandas."""

from __future__ import annotations

import gc
import importlib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import UserError
from ..core.identity import canonical, canonical_of_parts, once, sha256_of_text, sha256_of_value, short_hash
from ..storage.files import read_json, write_json
from .record_schema import check
from .specification import CONTENT, protocol_of

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
#: Largest file that is read as a record.
MAX_BYTES = 4_000_000
#: Gives a value, or one that is equal, and its short hash.
Known = Callable[[Any], tuple[Any, str]]
#: A run's name.
RUN_ID = re.compile(r"[0-9a-f]{12}")
#: Parts of a record, and of its specification, that are the same in many.
SHARED, SHARED_OF_SPEC = ("environment", "evaluator", "networks"), ("benchmark", "networks", "solver")


def seal(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with its own sha256, over the canonical JSON of everything else."""
    body = {k: v for k, v in record.items() if k != "sha256"}
    return {**body, "sha256": sha256_of_value(body)}


class Parts:
    """What records have in common: one object, and one canonical text, for parts that are equal."""

    def __init__(self) -> None:
        self._kept = once(lambda part: (part, canonical(part)))

    def texts(self, record: dict[str, Any], shared: tuple[str, ...] = SHARED) -> dict[str, str]:
        """The canonical text of each value; of those that are shared, the first equal one takes its place."""
        texts = {}
        for key, value in record.items():
            if key in shared:
                record[key], texts[key] = self._kept(value)
            elif key == "spec" and isinstance(value, dict):
                texts[key] = canonical_of_parts(self.texts(value, SHARED_OF_SPEC))
            else:
                texts[key] = canonical(value)
        return texts


def validate(record: Any, source: str, parts: Parts | None = None) -> dict[str, Any]:
    """Return a sound record; :class:`UserError` names the source and the first thing that is wrong.

    With ``parts`` of several records those that are equal become one object: not to be changed.
    """
    if not isinstance(record, dict):
        raise UserError(f"{source} is not a record: it holds no JSON object")
    if isinstance(record.get("schema"), int) and record["schema"] != SCHEMA:
        raise UserError(f"{source} has record schema {str(record['schema'])[:20]}; this version reads {SCHEMA}")
    texts, text = _texts(record, parts or Parts())
    check(record, source, text)
    if record["run_id"] != sha256_of_text(texts["spec"])[:12]:
        raise UserError(f"{source} is corrupt: its run_id does not name its specification")
    if record["sha256"] != sha256_of_text(text):
        raise UserError(f"{source} is corrupt: its sha256 does not fit its contents; delete it to compute it again")
    return record


def _texts(record: dict[str, Any], parts: Parts) -> tuple[dict[str, str], str]:
    """Canonical texts of the parts and of the record, both without its sha256; nothing where a value has none."""
    try:
        texts = parts.texts(record)
    except (ValueError, RecursionError):
        return {}, ""
    texts.pop("sha256", None)
    return texts, canonical_of_parts(texts)


def metric_values(draws: list[float]) -> dict[str, Any]:
    """One metric as it stands in a record: every draw, their mean, and their standard deviation (None for one draw)."""
    mean = sum(draws) / len(draws)
    spread = math.sqrt(sum((d - mean) ** 2 for d in draws) / (len(draws) - 1)) if len(draws) > 1 else None
    return {"values": draws, "mean": mean, "sd": spread}


def write_record(path: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """Seal, validate and write a record atomically."""
    sealed = validate(json.loads(canonical(seal(record))), str(path))
    write_json(path, sealed)
    return sealed


def read_record(path: Path, parts: Parts | None = None) -> dict[str, Any]:
    """Read and validate one record."""
    if path.is_file() and path.stat().st_size > MAX_BYTES:
        raise UserError(f"{str(path)!r} is not a record: it is larger than {MAX_BYTES:,} bytes")
    return validate(read_json(path), repr(str(path)), parts)


def committed_results() -> Path:
    """The folder of the records that come with the project."""
    content = importlib.import_module(CONTENT)
    return Path(str(content.__file__)).parent / "results"


def read_records(path: str | Path | None = None) -> list[dict[str, Any]]:
    """All records in a file or below a folder (None: the project's own), ordered by file name.

    Parts that are equal in several are one object: not to be changed.

    Raises:
        UserError: the path does not exist, or a record is corrupt.
    """
    place = _place(path)
    if place.is_file():
        return [read_record(place)]
    parts = Parts()
    with _no_garbage():
        return [read_record(file, parts) for file in _files(place)]


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Python's search for cycles looks through all that was read, again and again: a fifth of the time of reading."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def record_files(path: str | Path | None = None) -> dict[str, Path]:
    """The records below a folder (None: the project's own) by the run id that their place says, unread.

    Raises:
        UserError: the path does not exist.
    """
    return {f.parent.name if f.name == "record.json" else f.stem: f for f in _files(_place(path))}


def _place(path: str | Path | None) -> Path:
    place = committed_results() if path is None else Path(path).expanduser()
    if not place.exists():
        raise UserError(f"{str(place)!r} does not exist: give a record or a folder of records")
    return place


def _files(place: Path) -> list[Path]:
    """Records of runs and of collections at any depth, and those that lie in the folder itself, by their names."""
    found = {f for f in place.rglob("*.json") if f.name == "record.json" or f.parent.name == "records"}
    found |= {f for f in place.glob("*.json") if RUN_ID.fullmatch(f.stem)}
    return sorted(found, key=lambda f: f.parts)  # as paths are sorted, but ten times sooner


def load_results(path: str | Path | None = None) -> pd.DataFrame:
    """One row a record: benchmark, backbone, method, parameters, metrics, cost, run_id and the rest of the
    specification.

    Args:
        path: a record, or a folder searched for records (an output folder); None: the project's own records.

    Returns:
        Columns ``benchmark, protocol, backbone, method, parameters`` (a dict), ``method.<parameter>``, the metrics by
        their names, ``<metric>.sd``, ``cost.<key>``, ``seed, samples, labels, dtype, solver, run_id, time, device``,
        and ``version`` (of the benchmark), ``plugin`` (sha256 of the method's file where it is a plug-in),
        ``networks`` (recipes), ``benchmark_parameters`` (a dict).

    Raises:
        UserError: the path does not exist, or a record is corrupt.
    """
    return to_frame(read_records(path))


def to_frame(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Records as a data frame; see :func:`load_results`.

    Records of one protocol that were scored by different evaluators (other weights, recipe or reference) are not
    comparable: their ``protocol`` then carries the evaluator's hash, so that they never share a table.
    """
    import pandas as pd

    known: Known = once(lambda value: (value, short_hash(value)))
    frame = pd.DataFrame([_row(record, known) for record in records])
    if frame.empty:
        return frame
    evaluators = frame.groupby("protocol")["evaluator_id"].transform("nunique")
    apart = frame["protocol"] + "-" + frame["evaluator_id"].str[:8]
    return frame.assign(protocol=frame["protocol"].where(evaluators == 1, apart)).drop(columns="evaluator_id")


def _row(record: Mapping[str, Any], known: Known) -> dict[str, Any]:
    spec = record["spec"]
    method = spec["method"]
    protocol, protocol_hash = known(protocol_of(spec))
    row: dict[str, Any] = {
        "benchmark": spec["benchmark"]["name"],
        "protocol": protocol_hash,
        "backbone": spec["networks"]["main"].get("backbone", "?"),
        "method": method["name"],
        "parameters": dict(method["parameters"]),
    }
    row |= {f"method.{k}": v for k, v in method["parameters"].items()}
    for name, metric in record["metrics"].items():
        row[name] = metric["mean"]
        row[f"{name}.sd"] = metric["sd"]
    row |= {f"cost.{k}": v for k, v in record["cost"].items() if _is_number(v)}
    row |= {k: spec[k] for k in ("seed", "samples", "block", "labels")}
    row["dtype"] = spec["precision"]  # "precision" is a metric
    row |= {"version": spec["benchmark"].get("version"), "plugin": method.get("plugin_sha256")}
    row |= {"networks": protocol["networks"], "benchmark_parameters": spec["benchmark"].get("parameters", {})}
    row["solver"] = _call(spec["solver"])
    row["evaluator"] = record["evaluator"].get("name", "?")
    _, row["evaluator_id"] = known(record["evaluator"])
    return row | {
        "run_id": record["run_id"],
        "time": record["time"],
        "device": record["environment"].get("device", "unknown"),
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _call(thing: Mapping[str, Any]) -> str:
    return f"{thing['name']}({', '.join(f'{k}={v}' for k, v in thing['parameters'].items())})"
