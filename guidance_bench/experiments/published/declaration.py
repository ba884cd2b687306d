"""The declarative file of a benchmark: protocol, backbones with their authors' settings, published rows."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...core.errors import UserError, unknown
from ...storage.files import read_json

#: Metrics whose printed numbers a row may hold, by their columns.
NUMBERS = ("fid", "sfid", "inception_score", "precision", "recall")


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Named(_Part):
    """A thing of a registry with its parameters."""

    name: str
    parameters: dict[str, Any] = {}


class Protocol(_Part):
    """What all runs share.

    Attributes:
        samples: a run.
        block: samples made together.
        precision: of the networks.
        reference: known name, hub file, URL or path of the reference's statistics.
        num_classes: of the networks.
        metrics: names.
    """

    samples: int = Field(ge=2)
    block: int = Field(ge=1)
    precision: str = "tf32"
    reference: str
    num_classes: int = Field(ge=1)
    metrics: list[str]


class DeclaredBackbone(_Part):
    """A backbone as its authors ran it.

    Attributes:
        title: for people.
        checkpoint: known name, hub file or URL; None: none was published.
        layout: of :func:`guidance_bench.load_backbone`.
        settings: what its tensors do not tell.
        autoencoder: of its latents.
        solver: the authors'.
    """

    title: str
    checkpoint: str | None
    layout: str = "auto"
    settings: dict[str, Any] = {}
    autoencoder: Named
    solver: Named


class PublishedRow(_Part):
    """A line of a published table.

    Attributes:
        backbone: name of a declared backbone.
        method, parameters: guidance.
        labels: policy of the labels.
        numbers: as printed; the column's name is :data:`NUMBERS`'.
        source: where they are printed.
        version: of the paper.
        not_printed: settings that the source does not print; such a row cannot be called a reproduction.
        solver: instead of the backbone's.
        note: what else a reader must know.
    """

    backbone: str
    method: str
    parameters: dict[str, Any] = {}
    labels: Literal["random", "balanced"]
    numbers: dict[str, float]
    source: str
    version: str
    not_printed: list[str] = []
    solver: Named | None = None
    note: str = ""


class Declaration(_Part):
    """The file whole; ``backbone`` is the default one."""

    about: str = ""
    protocol: Protocol
    backbone: str
    backbones: dict[str, DeclaredBackbone]
    rows: dict[str, PublishedRow] = {}

    def row(self, name: str) -> PublishedRow:
        """The row called ``name``.

        Raises:
            UserError: there is none.
        """
        if name not in self.rows:
            raise unknown("row", name, [*self.rows, "all"])
        return self.rows[name]

    def solver(self, row: PublishedRow) -> Named:
        """The solver of a row."""
        return row.solver or self.backbones[row.backbone].solver


@cache
def read_declaration(path: Path) -> Declaration:
    """Read and check a declarative file.

    Raises:
        UserError: the first thing that is wrong, by its place.
    """
    try:
        declared = Declaration.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise UserError(f"{str(path)!r} declares no benchmark: {place}: {first['msg']}") from None
    for name, row in declared.rows.items():
        if row.backbone not in declared.backbones:
            raise UserError(f"{str(path)!r}: row {name!r} has a backbone that is not declared: {row.backbone!r}")
        strange = sorted(row.numbers.keys() - set(NUMBERS))
        if strange:
            raise UserError(f"{str(path)!r}: row {name!r}: {strange[0]!r} is none of {', '.join(NUMBERS)}")
    if declared.backbone not in declared.backbones:
        raise UserError(f"{str(path)!r}: the default backbone {declared.backbone!r} is not declared")
    return declared
