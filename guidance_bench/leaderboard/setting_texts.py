"""A method's parameters as people read them: which one is swept, and which need saying."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.identity import canonical
from .registered.look_up import registered

Parameters = Mapping[str, Any]


def varying(settings: Sequence[Parameters]) -> list[str]:
    """Names of the parameters that are not the same in all settings of a method, scales first."""
    return [name for name in _names(settings) if len({canonical(s.get(name)) for s in settings}) > 1]


def swept_parameter(settings: Sequence[Parameters]) -> str | None:
    """The parameter that a method's settings run over: the one with most values, a scale before others.

    Where nothing varies: the first scale, else the first number; None for a method without numbers.
    """
    names = varying(settings) or _names(settings)
    numeric = [n for n in names if all(_is_number(s.get(n)) for s in settings)]
    return min(numeric, key=lambda n: (-len({s[n] for s in settings}), not is_scale(n)), default=None)


def setting_texts(method: str, settings: Sequence[Parameters]) -> list[str]:
    """Each setting in few words: what varies among the settings, the scales, and what is not the method's default."""
    defaults = registered().defaults.get(method, {})
    vary = varying(settings)
    declared = {name: place for place, name in enumerate(defaults)}
    names = sorted(_names(settings), key=lambda n: (n not in vary, not is_scale(n), declared.get(n, len(declared))))

    def shown(name: str, value: Any) -> bool:
        return is_scale(name) or name in vary or name not in defaults or value != defaults[name]

    return [", ".join(f"{k}={plain(s[k])}" for k in names if k in s and shown(k, s[k])) for s in settings]


def is_scale(name: str) -> bool:
    """Whether a parameter is a guidance scale, by its name."""
    return name == "scale" or name.endswith("_scale")


def plain(value: Any) -> str:
    """A parameter's value as one types it on the command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:g}"
    return canonical(value) if isinstance(value, (list, tuple, dict)) else str(value)


def short(name: str) -> str:
    """A method's name where room is scarce."""
    return name if len(name) <= 22 else f"{name[:19]}..."


def sort_key(parameters: Parameters) -> list[tuple[str, int, float, str]]:
    """Orders settings of a method: scales first, numbers by size."""
    names = sorted(parameters, key=lambda n: (not is_scale(n), n))
    values = [(n, parameters[n]) for n in names]
    return [(n, 0, float(v), "") if _is_number(v) else (n, 1, 0.0, canonical(v)) for n, v in values]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _names(settings: Sequence[Parameters]) -> list[str]:
    """Every parameter's name, scales first."""
    names = dict.fromkeys(name for setting in settings for name in setting)
    return sorted(names, key=lambda n: not is_scale(n))
