"""What the file of a network that was trained here says of its training, so that a record need not name a bare hash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..core.errors import UserError

Name = Annotated[str, Field(min_length=1, max_length=200)]


class Origin(BaseModel):
    """A training in few words.

    Attributes:
        recipe: its registered name.
        data: what it was trained on, as ``digits@0123456789abcdef``.
        training: short hash of recipe and data, the name of the training's folder.
        steps: optimiser steps that led to these weights.
        ema: decay of the average that they are; None: as trained.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    recipe: Name
    data: Name
    training: Name
    steps: Annotated[int, Field(ge=0, lt=2**63)]
    ema: Annotated[float, Field(ge=0, le=1)] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON form, for a file's metadata and a record."""
        return self.model_dump(exclude_none=True)

    def as_trained(self) -> Origin:
        """The same of the weights of that step that are no average."""
        return self.model_copy(update={"ema": None})


class Loaded(Protocol):
    """What a loaded network has of it."""

    origin: Origin | None


def origin_of(network: Loaded) -> dict[str, Any]:
    """What a record says of a loaded network's training; {} where its file told nothing."""
    return network.origin.as_dict() if network.origin else {}


def origin_in(about: Mapping[str, Any], where: str) -> Origin | None:
    """What a file's JSON says under "training"; None where it is of a network that was saved otherwise.

    Raises:
        UserError: it is not what :meth:`Origin.as_dict` gave.
    """
    if "training" not in about:
        return None
    try:
        return Origin.model_validate(about["training"])
    except ValidationError as error:
        why = error.errors(include_url=False)[0]["msg"]
        raise UserError(f"{where}: what its file says of its training is damaged: {why}") from error
