"""All settings as CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...core.identity import canonical

if TYPE_CHECKING:
    import pandas as pd


def settings_csv(settings: pd.DataFrame) -> str:
    """Every column in full precision; lists with blanks between, parameters as JSON."""
    texts = settings.copy()
    for name in settings.columns:
        texts[name] = [_csv_value(value) for value in settings[name]]
    text: str = texts.to_csv(index=False, lineterminator="\n")
    return text


def _csv_value(value: Any) -> Any:
    if isinstance(value, dict):
        return canonical(value)
    return " ".join(map(str, value)) if isinstance(value, list) else value
