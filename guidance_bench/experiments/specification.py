"""What a run computes, in canonical form; the run's name is the hash of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..core.identity import canonical, short_hash

#: Where the benchmarks and their records lie.
CONTENT = "guidance_bench.benchmarks"


@dataclass(frozen=True)
class RunSpec:
    """Everything that determines a run's samples and metrics; all fields are plain JSON values.

    Attributes:
        benchmark: name, version and protocol parameters.
        networks: main (and weak) network: training recipe, or sha256 of a published checkpoint.
        method: name, parameters, sha256 of the defining file for a plug-in.
        solver: name and parameters.
        labels: "random" or "balanced".
        samples: number of samples.
        block: samples made together (matrix products round differently for other batch shapes).
        precision: of the network.
        metrics: names and parameters of the metrics.
        seed: of training (where the benchmark trains), labels, noise and every later draw.
        code: hashes of metrics that are plug-ins, versions of built-in ones from 2 on; left out where there are none.

    The code of a method and a solver stands in their own parts, that of a backbone in its network's recipe.
    """

    benchmark: Mapping[str, Any]
    networks: Mapping[str, Any]
    method: Mapping[str, Any]
    solver: Mapping[str, Any]
    labels: str
    samples: int
    block: int
    precision: str
    metrics: tuple[str, ...]
    seed: int
    code: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        plain: dict[str, Any] = json.loads(canonical(asdict(self)))
        if not plain["code"]:
            del plain["code"]
        return plain

    @property
    def run_id(self) -> str:
        """The run's name."""
        return short_hash(self.as_dict())


def protocol_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What must be equal for two runs to stand in one table: everything but the method and the seed."""
    networks = {
        name: {k: v for k, v in recipe.items() if k != "seed"} if isinstance(recipe, Mapping) else recipe
        for name, recipe in spec["networks"].items()
    }
    return {**{k: v for k, v in spec.items() if k not in ("method", "seed")}, "networks": networks}
