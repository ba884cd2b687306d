"""What a registered class must declare, checked when it is registered: one line names class, field and the way out."""

from __future__ import annotations

import dataclasses
import keyword
import re
from typing import Any

from .errors import UserError
from .parameters import Parameter, check_value, fields_of, type_name

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def as_dataclass(cls: type, base: type, name: str) -> None:
    """Make a class a dataclass, in place, and check its name and fields.

    Raises:
        UserError: a name that cannot stand in a command line, a field without default or with one that is shared or no
            plain value, a field of a name that the base class uses itself, an annotation that does not resolve.
    """
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UserError(f"class {cls.__name__}: the name {name!r} cannot be used; letters, digits, _ and - can")
    if "__dataclass_params__" not in vars(cls):
        _check_written(cls)
        dataclasses.dataclass(cls)
    for field in dataclasses.fields(cls):
        if field.name in _taken(base):
            raise UserError(
                f"class {cls.__name__}: field {field.name!r} has the name of something that every "
                f"{base.__name__} has; call it otherwise (if that is meant: {field.name} = ..., without a type)"
            )
    _check_resolved(cls)


def _check_written(cls: type) -> None:
    """Own annotations, before the dataclass decorator meets them."""
    for name, hint in vars(cls).get("__annotations__", {}).items():
        if re.match(r"(typing\.|t\.)?(ClassVar|InitVar)\b", hint if isinstance(hint, str) else str(hint)):
            continue
        if not hasattr(cls, name):
            raise UserError(
                f"class {cls.__name__}: field {name!r} has no default; give it one ({name}: {_word(hint)} = ...)"
            )
        default = getattr(cls, name)
        if isinstance(default, dataclasses.Field):
            default = default.default
        if type(default).__hash__ is None:
            raise UserError(
                f"class {cls.__name__}: field {name!r} has the default {default!r}, which all instances would share; "
                f"write a tuple: {name}: tuple[...] = (...)"
            )


def _check_resolved(cls: type) -> None:
    try:
        fields = fields_of(cls)
    except Exception as error:
        raise UserError(f"class {cls.__name__}: an annotation does not resolve: {error}") from error
    for field in fields:
        if field.default is dataclasses.MISSING:
            raise UserError(f"class {cls.__name__}: field {field.name!r} has no default; give it one")
        if not _is_plain(field.default):
            raise UserError(
                f"class {cls.__name__}: field {field.name!r} has the default {field.default!r}; a parameter is a "
                "number, a text, true or false, None, or a tuple of these"
            )
        _check_default(cls.__name__, field)


def _check_default(owner: str, field: Parameter) -> None:
    """Refuse a default that the field itself does not allow, with the line that would."""
    try:
        check_value(f"class {owner}", field, field.default)
    except UserError as error:
        value = field.default
        if isinstance(value, (int, float)) and value < field.low:
            word = type_name(field.type)
            raise UserError(f"{error}: write {field.name}: {word} = param({value}, low={value})") from error
        raise


def _taken(base: type) -> frozenset[str]:
    """Attributes of the base class, but for the fields that it only announces."""
    return frozenset(dir(base))


def _word(hint: Any) -> str:
    return hint if isinstance(hint, str) else getattr(hint, "__name__", str(hint))


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))
