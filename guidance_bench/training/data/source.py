"""Where training data come from: a registered reader by name, ``name`` or ``name:FOLDER``."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from ...core.errors import UserError
from ...core.parameters import Configurable
from ...core.registry import Registry
from .dataset import TrainingData


class Source(Configurable):
    """Base of readers of training data; fields are what they are told, ``path`` the text behind the colon.

    Attributes:
        summary: one line for ``guidance-bench list``.
    """

    summary: ClassVar[str] = ""

    path: str

    @abstractmethod
    def load(self) -> TrainingData:
        """The data.

        Raises:
            UserError: they are not there or not sound; the message says which file goes where.
        """


SOURCES: Registry[Source] = Registry(
    "source", "guidance_bench.training.sources", lambda: Source, "guidance_bench.sources"
)
register_source = SOURCES.register


def open_source(text: str, **options: Any) -> TrainingData:
    """The data that a text names: ``digits``, ``fashion_mnist:FOLDER``, ``folder:PATH``; a plug-in's name likewise.

    Args:
        text: name of a registered source, with a path behind a colon where it takes one.
        options: further fields of the source, such as ``size``.

    Raises:
        UserError: no such source, or as its :meth:`Source.load`.
    """
    name, colon, path = text.partition(":")
    fields = {parameter.name for parameter in SOURCES.parameters(name)}
    if colon and not path:
        raise UserError(f"data={text!r} names no path behind the colon")
    if path and "path" not in fields:
        raise UserError(f"data={text!r}: source {name!r} takes no path")
    return SOURCES.create(name, **({"path": path} if path else {}), **options).load()
