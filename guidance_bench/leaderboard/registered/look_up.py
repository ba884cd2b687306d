"""What is registered here, read from a kept file where the registries are not loaded: they take torch with them.

The file is made by the first process that finds none of the present state; it is not made while an installed plug-in
cannot be loaded, for what is missing may come without any file's changing.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from ...core.errors import UserError
from ...storage.files import read_sealed, write_sealed
from .entries import Registered
from .state import kept_file, sources_in, state

#: Where the registries are: what a process has registered itself stands in no file.
REGISTRIES = ("guidance_bench.experiments.benchmark", "guidance_bench.guidance.method", "guidance_bench.metrics.base")
#: Of the kept file: what it was made of, the folders of plug-ins and what lies in them, all answers as JSON text.
KEYS = ("state", "folders", "plugins", "registered")


def registered() -> Registered:
    """What is registered: of this process where it has imported a registry, else as it was kept."""
    if _loaded():
        from .asking import asked

        return asked()
    return _kept() or _asked_and_kept()


@cache
def clean_state() -> str | None:
    """:func:`.state.state` as it was before this process imported a registry: whatever it asks is of that state.

    None where one was imported before the first question: its source may have been edited since.
    """
    return None if _loaded() else state()


def _loaded() -> bool:
    return any(name in sys.modules for name in REGISTRIES)


@cache
def _kept() -> Registered | None:
    """The answers of the file, if it is whole and of the present state; read once."""
    try:
        value = read_sealed(kept_file("registered"), KEYS)
        if value["state"] != clean_state() or value["plugins"] != sources_in(map(Path, value["folders"])):
            return None
        return _adapter().validate_json(value["registered"])
    except (UserError, OSError, TypeError, ValueError):
        return None


def _asked_and_kept() -> Registered:
    now = clean_state()
    from .asking import asked, plugin_files

    found, files = asked(), plugin_files()
    if files is not None and now is not None:
        with suppress(Exception):  # code of plug-ins runs here, and what they declare may be no JSON
            folders = sorted({str(file.parent) for file in files})
            text = _text(found.whole())
            if _text(_adapter().validate_json(text)) == text:
                plugins = sources_in(map(Path, folders))
                answers = {"state": now, "folders": folders, "plugins": plugins, "registered": text}
                write_sealed(kept_file("registered"), answers)
    return found


def _text(found: Registered) -> str:
    """All answers, in their order."""
    return json.dumps(_adapter().dump_python(found, warnings="none"), allow_nan=False)


@cache
def _adapter() -> TypeAdapter[Registered]:
    return TypeAdapter(Registered)
