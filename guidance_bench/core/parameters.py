"""Dataclass fields as validated parameters: the schema of methods, solvers, metrics and benchmarks.

A field is a parameter. Numbers are finite and not negative unless :func:`param` says otherwise, so that a
plug-in's plain ``scale: float = 1.5`` is already guarded.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any

from typing_extensions import dataclass_transform

from .errors import UserError, no_parameter


def param(
    default: Any,
    *,
    low: float = 0.0,
    high: float = math.inf,
    doc: str = "",
    choices: tuple[str, ...] = (),
    quiet: bool = False,
) -> Any:
    """Declare a dataclass field with its closed range [low, high] or its choices, and a one-line description.

    ``quiet`` is for a field that came later and whose default is the earlier meaning: at its default it is left out of
    :meth:`Configurable.parameters`, so runs made before it keep their names.
    """
    metadata = {"low": low, "high": high, "doc": doc, "choices": choices, "quiet": quiet}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass_transform(field_specifiers=(param,))
class Configurable:
    """Base of every registered dataclass: checks types and ranges whichever way an instance is made."""

    #: the registered name; set by the registry
    name: typing.ClassVar[str] = ""
    #: of built-in content: raised when its meaning changes; from 2 on it is part of its runs' names
    version: typing.ClassVar[int] = 1

    def __post_init__(self) -> None:
        for field in fields_of(type(self)):
            value = check_value(type(self).name or type(self).__name__, field, getattr(self, field.name))
            object.__setattr__(self, field.name, value)

    def parameters(self) -> dict[str, Any]:
        """The parameters as plain JSON values, in the order of declaration; quiet ones only where they are set."""
        shown = [f for f in fields_of(type(self)) if not f.quiet or getattr(self, f.name) != f.default]
        return {f.name: plain(getattr(self, f.name)) for f in shown}


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One field: its name, resolved type, default, range, description, and whether its default goes unsaid."""

    name: str
    type: Any
    default: Any
    low: float
    high: float
    choices: tuple[str, ...]
    doc: str
    quiet: bool = False


def fields_of(cls: type) -> tuple[Parameter, ...]:
    """The parameters of a dataclass, with type annotations resolved."""
    return _fields_of(cls, "__dataclass_params__" in vars(cls))


@cache  # an instance is made for every evaluation of some methods; a class may be made a dataclass after its first
def _fields_of(cls: type, finished: bool) -> tuple[Parameter, ...]:
    hints = typing.get_type_hints(cls)
    return tuple(_parameter(f, hints[f.name]) for f in dataclasses.fields(cls) if f.init)


def _parameter(field: dataclasses.Field[Any], hint: Any) -> Parameter:
    default = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
    if isinstance(default, (bool, int, float, tuple, list)) and _fits(hint, default):
        default = _convert(hint, default)
    meta = field.metadata
    return Parameter(
        field.name,
        hint,
        default,
        meta.get("low", 0.0),
        meta.get("high", math.inf),
        tuple(meta.get("choices", ())),
        meta.get("doc", ""),
        bool(meta.get("quiet", False)),
    )


def check_names(owner: str, cls: type, given: Mapping[str, Any]) -> None:
    """Raise :class:`UserError` for a parameter that ``cls`` does not have."""
    known = [f.name for f in fields_of(cls)]
    for name in given:
        if name not in known:
            raise no_parameter(owner, name, known)


def check_value(owner: str, field: Parameter, value: Any) -> Any:
    """Return ``value`` in the field's type, or raise :class:`UserError` with the owner, the field and the value."""
    problem = _problem(field, value)
    if problem:
        raise UserError(f"{owner}: {field.name}={value!r} {problem}")
    return _convert(field.type, value)


def _problem(field: Parameter, value: Any) -> str:
    if not _fits(field.type, value):
        return f"is not {'' if _is_literal(field.type) else 'of type '}{type_name(field.type)}"
    if field.choices and value not in field.choices:
        return f"is not one of {', '.join(field.choices)}"
    for number in value if isinstance(value, (tuple, list)) else (value,):
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            if not _finite(number):
                return "is not finite"
            if not field.low <= number <= field.high:
                return f"is outside [{field.low:g}, {field.high:g}]"
    return ""


def _finite(number: int | float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer of hundreds of digits
        return False


def _is_literal(hint: Any) -> bool:
    return any(typing.get_origin(kind) is typing.Literal for kind in _alternatives(hint))


def _alternatives(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return typing.get_args(hint)
    return (hint,)


def _fits(hint: Any, value: Any) -> bool:
    return any(_fits_one(one, value) for one in _alternatives(hint))


def _fits_one(hint: Any, value: Any) -> bool:
    if hint is Any:
        return True
    if hint in (None, type(None)):
        return value is None
    if hint is bool:
        return isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return any(type(value) is type(one) and value == one for one in typing.get_args(hint))
    if origin in (tuple, list):
        inner = [a for a in typing.get_args(hint) if a is not Ellipsis] or [Any]
        if not isinstance(value, (tuple, list)) or len(inner) not in (1, len(value)):
            return False
        return all(_fits(one, v) for one, v in zip(_repeated(inner, len(value)), value, strict=True))
    return isinstance(value, origin or hint)


def _convert(hint: Any, value: Any) -> Any:
    """The one form of a value: a number of a float field is a float, zero has no sign, a sequence is a tuple."""
    kinds = _alternatives(hint)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value) + 0.0 if float in kinds or isinstance(value, float) else int(value)
    if isinstance(value, (tuple, list)):
        kind = next((k for k in kinds if typing.get_origin(k) in (tuple, list) or k in (tuple, list)), tuple)
        inner = [a for a in typing.get_args(kind) if a is not Ellipsis] or [Any]
        made = [_convert(one, v) for one, v in zip(_repeated(inner, len(value)), value, strict=True)]
        return made if (typing.get_origin(kind) or kind) is list else tuple(made)
    return value


def _repeated(inner: list[Any], count: int) -> list[Any]:
    """The types of ``count`` elements: one type stands for all."""
    return inner * count if len(inner) == 1 else inner


def type_name(hint: Any) -> str:
    """A short, readable name: ``float``, ``int or None``, ``tuple[int, ...]``, ``one of a, b``."""
    names = [_kind_name(kind) for kind in _alternatives(hint)]
    return " or ".join(names)


def _kind_name(kind: Any) -> str:
    if kind is type(None):
        return "None"
    if typing.get_origin(kind) is typing.Literal:
        return f"one of {', '.join(map(str, typing.get_args(kind)))}"
    return str(kind) if typing.get_origin(kind) else getattr(kind, "__name__", str(kind))


def plain(value: Any) -> Any:
    """A parameter's value as JSON has it: tuples as lists, dataclasses as objects."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    return value
