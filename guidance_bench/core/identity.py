"""The canonical form of plain values, and the hashes that name what is computed from them."""

from __future__ import annotations

import hashlib
import json
import marshal
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, TypeVar

Answer = TypeVar("Answer")

#: Made once: json.dumps makes one for each call, a third of its time for small values.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, no NaN."""
    return _ENCODER.encode(value)


def canonical_of_parts(texts: Mapping[str, str]) -> str:
    """The canonical text of an object, from those of its values by their keys."""
    return "{" + ",".join([f"{quoted(key)}:{texts[key]}" for key in sorted(texts)]) + "}"


def once(function: Callable[[Any], Answer]) -> Callable[[Any], Answer]:
    """The function, computed once for plain values that are the same (of equal type too: 1 is not 1.0), here and now.

    Ten times sooner than :func:`canonical`. What it gave is kept as long as the function that this gives.
    """
    answers: dict[bytes, Answer] = {}

    def answer(value: Any) -> Answer:
        key = marshal.dumps(value, 2)  # the last version that does not tell one object twice from two that are equal
        if key not in answers:
            answers[key] = function(value)
        return answers[key]

    return answer


def sha256_of_value(value: Any) -> str:
    """The sha256 of a value's canonical JSON, in hex."""
    return sha256_of_text(canonical(value))


def sha256_of_text(text: str) -> str:
    """The sha256 of a text's UTF-8, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def short_hash(value: Any) -> str:
    """First 12 hex digits of the sha256 of a value's canonical JSON."""
    return sha256_of_value(value)[:12]
