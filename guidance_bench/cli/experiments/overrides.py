"""Checks before Hydra, so that a mistake gets one line that names the way out; users' files; grids of settings."""

from __future__ import annotations

import json
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from ...core.errors import UserError, no_parameter
from ...experiments.benchmark import ROLES
from ...experiments.hydra_schema import GROUPS
from .words import check_option


def first_lines(error: BaseException) -> str:
    """Hydra's message, and the cause behind it, without the hints for programmers."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    cause = error.__cause__
    return (
        f"{first.rstrip('.')}: {first_lines(cause)}"
        if isinstance(cause, (HydraException, OmegaConfBaseException))
        else first
    )


def load_plugin(override: str, plugins: list[str]) -> str:
    """``method=path/file.py[:name]`` runs the file, notes it in ``plugins`` and becomes ``method=name``."""
    group, equals, value = override.partition("=")
    if not equals or group not in GROUPS or ".py" not in value:
        return override
    path, _, wanted = value.partition(":")
    names = GROUPS[group].load_file(path)
    plugins.append(f"{group}:{Path(path).expanduser().resolve()}")
    if wanted and wanted not in names:
        raise UserError(f"{path!r} registers no {group} {wanted!r} (it registers: {', '.join(names)})")
    if not wanted and len(names) > 1:
        raise UserError(f"{path!r} registers several: say {group}={path}:{names[0]} (or {', '.join(names[1:])})")
    return f"{group}={wanted or names[0]}"


def ensure_loaded(group: str, path: str) -> None:
    """Load a user's file, unless this process has."""
    registry = GROUPS[group]
    if all(registry.entry(name).file != path for name in registry.names()):
        registry.load_file(path)


def checked(overrides: Sequence[str]) -> tuple[list[str], str, str]:
    """What goes to Hydra; the method's grid, and what is told of the networks' files, as percent-encoded JSON.

    ``method.scale=[1.2,1.5]`` is a grid where the parameter is one value, not a list: ``{"scale": [1.2, 1.5]}``.
    ``backbone.num_heads=6`` becomes ``{"main": {"num_heads": 6}}``.

    Raises:
        UserError: what Hydra cannot read, an unknown option, name or parameter.
    """
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(first_lines(error)) from error
    chosen: dict[str, list[str]] = {"benchmark": ["digits"], "method": [], "solver": []}
    for override in parsed:
        if override.key_or_group in GROUPS:
            chosen[override.key_or_group] = _choices(override)
    for group, names in chosen.items():
        for name in names:
            GROUPS[group].entry(name)
    grid: dict[str, list[Any]] = {}
    settings: dict[str, dict[str, Any]] = {}
    rest = []
    for override in parsed:
        _check_key(override, chosen)
        group, _, name = override.key_or_group.partition(".")
        values = _grid_values(override, chosen["method"])
        if name and group in ROLES:
            settings.setdefault(ROLES[group], {})[name] = _setting(override)
        elif values is None:
            rest.append(str(override.input_line))
        else:
            grid[name] = values
    return rest, _quoted(grid), _quoted(settings)


def _quoted(value: dict[str, Any]) -> str:
    return quote(json.dumps(value)) if value else ""


def _setting(override: Override) -> Any:
    """One plain value."""
    value = None if override.is_sweep_override() or override.is_delete() else _plain(override.value())
    if value is None or isinstance(value, (list, dict)):
        raise UserError(f"{override.input_line!r} gives no value: {override.key_or_group}=VALUE")
    return value


def _grid_values(override: Override, methods: Sequence[str]) -> list[Any] | None:
    group, _, name = override.key_or_group.partition(".")
    if group != "method" or not name or len(methods) != 1 or override.is_sweep_override():
        return None
    values = _plain(override.value())
    hint = next(p.type for p in GROUPS["method"].parameters(methods[0]) if p.name == name)
    takes_list = any(typing.get_origin(kind) in (tuple, list) for kind in (hint, *typing.get_args(hint)))
    if not isinstance(values, list) or (takes_list and not (values and isinstance(values[0], list))):
        return None
    if not values:
        raise UserError(f"{override.input_line!r} is a grid without a value")
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return value.text if isinstance(value, QuotedString) else value


def _choices(override: Override) -> list[str]:
    value = override.value()
    if isinstance(value, ChoiceSweep):
        return [str(v) for v in value.list]
    if override.is_delete():
        return []
    if not isinstance(value, str):
        raise UserError(f"{override.input_line!r} gives no name of a {override.key_or_group}")
    return [value]


def _check_key(override: Override, chosen: dict[str, list[str]]) -> None:
    group, _, name = override.key_or_group.partition(".")
    check_option(group, override.key_or_group)
    if not name or group not in GROUPS:
        return
    if not chosen[group]:
        raise UserError(f"{override.input_line!r} needs a {group}: add {group}=NAME")
    for entry in chosen[group]:
        fields = [p.name for p in GROUPS[group].parameters(entry)]
        if name not in fields:
            raise no_parameter(f"{group} {entry!r}", name, fields)
