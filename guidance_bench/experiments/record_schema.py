"""The schema of a record: pydantic models, read whole by :func:`check`; also the JSON Schema for other programs."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..core.errors import UserError

#: Longest text, deepest nesting, most values, and largest size of an integer anywhere in a record.
MAX_TEXT, MAX_DEPTH, MAX_VALUES, MAX_INTEGER = 20_000, 16, 100_000, 2**64
#: Columns of tables that no metric may be called.
RESERVED = frozenset(
    [
        "benchmark",
        "protocol",
        "backbone",
        "method",
        "parameters",
        "seed",
        "samples",
        "labels",
        "dtype",
        "version",
        "plugin",
        "networks",
        "benchmark_parameters",
        "solver",
        "evaluator",
        "evaluator_id",
        "run_id",
        "time",
        "device",
        "setting",
        "n",
        "seeds",
        "run_ids",
        "settings",
        "gain",
        "held_out",
        "held_out_sd",
        "ties",
        "shared_seeds",
        "tuned",
        "strength",
        "over_cfg",
        "over_cfg_tie",
    ]
)

Name = Annotated[str, Field(min_length=1, max_length=200)]
#: Of a parameter or a cost: what Python takes for the name of a field.
Key = Annotated[str, Field(pattern=r"^[^\W\d]\w*$", max_length=100)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e30, le=1e30)]
Amount = Annotated[float, Field(allow_inf_nan=False, ge=0, le=1e30)]


class Part(BaseModel):
    """A part of a record: what it names is typed, keys that later versions add are let through."""

    model_config = ConfigDict(strict=True, extra="allow")


class Called(Part):
    """A thing of a registry with its parameters."""

    name: Name
    parameters: dict[Key, Any]


class Method(Called):
    """A guidance method; the hash is that of a plug-in's file."""

    plugin_sha256: Hash | None = None


class Benchmark(Called):
    """A benchmark and its version."""

    parameters: dict[Key, Any] = {}
    version: Count | Name | None = None


class Recipe(Part):
    """What a network is: a training recipe, or the hash of a checkpoint."""

    backbone: Name = "?"
    steps: Count = 0
    sha256: Name = "?"


class Networks(Part):
    """The networks of a specification; others than these may follow."""

    main: Recipe
    weak: Recipe | None = None
    __pydantic_extra__: dict[str, Recipe | None]


class Specification(Part):
    """What a run computes (:class:`guidance_bench.experiments.specification.RunSpec`)."""

    benchmark: Benchmark
    networks: Networks
    method: Method
    solver: Called
    labels: Name
    samples: Count
    block: Count
    precision: Name
    metrics: list[Name]
    seed: Count


class Metric(Part):
    """A metric: every draw, their mean, and their standard deviation (none for one draw)."""

    values: Annotated[list[Number], Field(min_length=1)]
    mean: Number
    sd: Amount | None


class Evaluator(Part):
    """The feature network and what it was measured against."""

    name: Name = "?"


class Cost(Part):
    """What a run cost, in evaluations a sample and in seconds."""

    nfe: Amount
    images_per_second: Amount | None = None
    __pydantic_extra__: dict[Key, Number | Text | None]


class Samples(Part):
    """Digests of the samples, and the sha256 of the first few, which lie beside the record."""

    witness: Hash | None = None
    __pydantic_extra__: dict[Name, Any]


class Environment(Part):
    """Machine and versions."""

    device: Text = "unknown"
    packages: dict[Name, Text] = {}


class Record(Part):
    """A record whole."""

    schema_: Annotated[int, Field(alias="schema")]
    run_id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    spec: Specification
    metrics: dict[Name, Metric]
    evaluator: Evaluator
    networks: dict[Name, dict[Name, Any]]
    cost: Cost
    samples: Samples
    environment: Environment
    command: Text
    time: Annotated[str, Field(min_length=1, max_length=40)]
    sha256: Hash


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a record, for documentation and other programs; published as ``record.schema.json`` here."""
    return Record.model_json_schema(by_alias=True)


def check(record: Any, source: str, text: str) -> None:
    """Check a record whole.

    Args:
        record: what JSON gave.
        source: how messages name it.
        text: its canonical text without its sha256; "" where it has none.

    Raises:
        UserError: the first thing that is wrong, by its place.
    """
    if not _is_small(text):
        _walk(record, source)
    try:
        Record.model_validate(record)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise UserError(f"{source} is not a valid record: {_place(first['loc'])}: {_words(first['msg'])}") from None
    for name in record["metrics"]:
        if name in RESERVED or name.startswith(("cost.", "method.")) or name.endswith((".sd", ".values")):
            raise UserError(f"{source} is not a valid record: metrics: {name!r} is the name of another column")


def _walk(record: Any, source: str) -> None:
    waiting, seen = [(record, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        seen += 1
        if depth > MAX_DEPTH or seen > MAX_VALUES:
            raise UserError(
                f"{source} is not a valid record: deeper than {MAX_DEPTH} levels or more than {MAX_VALUES:,} values"
            )
        if isinstance(value, dict):
            waiting += [(item, depth + 1) for pair in value.items() for item in pair]
        elif isinstance(value, list):
            waiting += [(item, depth + 1) for item in value]
        elif isinstance(value, str):
            _text(value, source)
        elif isinstance(value, int) and abs(value) > MAX_INTEGER:
            raise UserError(f"{source} is not a valid record: it holds an integer beyond 2^64")
        elif isinstance(value, float) and not abs(value) < float("inf"):
            raise UserError(f"{source} is not a valid record: it does not hold finite numbers only")


BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
ZEROS = bytes.maketrans(b"123456789", b"000000000")


def _is_small(text: str) -> bool:
    """Whether a record is within all limits by its canonical text alone, which is fifty times sooner than a walk.

    Many digits in a row may be a large integer, and an escape half of a surrogate pair: those are walked through.
    """
    signs = text.encode()
    if not signs or len(signs) > MAX_TEXT or b"\\ud" in signs or b"0" * 19 in signs.translate(ZEROS):
        return False
    nested = signs.translate(None, BUT_BRACKETS)
    for _ in range(MAX_DEPTH):
        if not nested:
            return True
        nested = nested.replace(b"[]", b"").replace(b"{}", b"")
    return False


def _text(text: str, source: str) -> None:
    if len(text) > MAX_TEXT:
        raise UserError(f"{source} is not a valid record: a text of {len(text):,} signs (at most {MAX_TEXT:,})")
    if not text.isascii() and re.search("[\ud800-\udfff]", text):
        raise UserError(f"{source} is not a valid record: a text holds half of a surrogate pair, which is no character")


def _place(where: tuple[int | str, ...]) -> str:
    return ".".join(map(str, where)).encode("unicode_escape").decode()[:200] or "the whole"


def _words(message: str) -> str:
    return message[:1].lower() + message[1:]
