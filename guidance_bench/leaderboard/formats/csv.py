"""All settings as CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...core.identity import canonical
from .rows import visible

if TYPE_CHECKING:
    import pandas as pd


def settings_csv(settings: pd.DataFrame) -> str:
    """Every column in full precision; lists with blanks between, parameters as JSON."""
    texts = settings.copy()
    for name in settings.columns:
        texts[name] = [_csv_value(value) for value in settings[name]]
    texts.columns = [_harmless(str(name)) for name in settings.columns]
    text: str = texts.to_csv(index=False, lineterminator="\n")
    return text


def _csv_value(value: Any) -> Any:
    if isinstance(value, dict):
        return _harmless(canonical(value))
    if isinstance(value, list):
        return (
            _harmless(" ".join(map(str, value)))
            if any(isinstance(v, str) for v in value)
            else " ".join(map(str, value))
        )
    return _harmless(value) if isinstance(value, str) else value


def _harmless(text: str) -> str:
    """Text that no spreadsheet takes for a formula (an apostrophe before the signs that begin one), nor a terminal."""
    text = visible(text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
