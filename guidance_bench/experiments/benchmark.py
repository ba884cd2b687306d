"""What a benchmark is: data, networks, line-up, solver, features and reference, behind one class."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.errors import UserError
from ..core.parameters import Configurable
from ..core.registry import Registry
from ..features.feature_set import FeatureSet
from ..guidance.method import METHODS, Guidance
from ..networks.backbone import Backbone
from ..networks.dataset import Dataset
from ..sampling.solvers import Solver
from ..storage.hub import Wanted, wanted
from .specification import CONTENT

#: Images (N, H, W, C) uint8 to named features.
Extract = Callable[[NDArray[np.uint8]], dict[str, NDArray[np.float32]]]


#: The networks of a run by the words that options call them by.
ROLES = {"backbone": "main", "weak": "weak"}


@dataclass(frozen=True)
class Networks:
    """The networks of a run.

    Attributes:
        main: the backbone that is guided.
        weak: autoguidance's weaker network, where there is one.
        facts: for the record: sha256 of each network's weights, final losses, seconds.
    """

    main: Backbone
    weak: Backbone | None
    facts: dict[str, Any]


@dataclass(frozen=True)
class Evaluator:
    """A feature space with its reference.

    Attributes:
        name: of the feature space, as it stands in column names.
        extract: images to features.
        reference: features of the reference set.
        identity: for the record: sha256 of weights and reference, versions.
    """

    name: str
    extract: Extract
    reference: FeatureSet
    identity: dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """One point of the line-up: a method with its parameters."""

    method: str
    parameters: dict[str, Any]

    def create(self) -> Guidance:
        """The method."""
        return METHODS.create(self.method, **self.parameters)


class Benchmark(Configurable):
    """Base of all benchmarks. Fields are the protocol; ``guidance-bench run benchmark=NAME benchmark.FIELD=...``
    sets them.

    Attributes:
        version: raised whenever the protocol's meaning changes, so that old and new runs have different names.
        free: fields that choose among runs and do not change any of them (seeds, methods).
        places: fields that say where something lies, or choose other fields: not in a run's name, but in its command.
        summary: one line for ``guidance-bench list``.
        metrics: names of the metrics.
        primary: the metric that the line-up is tuned by.
        space: name of the feature space, the suffix of the metrics' column names ("" for Inception).
        together: whether :meth:`evaluator` may be called by all processes of a run at once, which then share its work;
            else the first calls it alone and the others find on disk what it has made.
        precision: of the networks, unless ``run`` is told another: "fp32", "tf32" or "bf16".
    """

    version: ClassVar[int] = 1
    free: ClassVar[tuple[str, ...]] = ("seeds", "methods")
    places: ClassVar[tuple[str, ...]] = ()
    summary: ClassVar[str] = ""
    metrics: ClassVar[tuple[str, ...]] = ()
    primary: ClassVar[str] = ""
    space: ClassVar[str] = ""
    together: ClassVar[bool] = False
    precision: ClassVar[str] = "fp32"
    #: the benchmark on whose runs this one's settings were chosen, for the budget that tables show
    tuned_on: ClassVar[str] = ""

    #: sources of networks of the user's own, by their role
    own_networks: ClassVar[Mapping[str, str]] = MappingProxyType({})
    #: by their role, what their files do not tell: keywords of :func:`guidance_bench.load_backbone`
    network_settings: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType({})

    seeds: tuple[int, ...]
    methods: tuple[str, ...]
    samples: int
    block: int
    labels: str

    @abstractmethod
    def line_up(self) -> list[Setting]:
        """Every setting that the benchmark compares."""

    @abstractmethod
    def default_solver(self) -> Solver:
        """The protocol's solver."""

    @abstractmethod
    def recipes(self, seed: int) -> dict[str, dict[str, Any]]:
        """What the networks are, as plain JSON values, without making them: "main" and, where there is one, "weak"."""

    @abstractmethod
    def networks(self, seed: int, folder: Path, device: torch.device) -> Networks:
        """Train, resume or load the networks; what has been made lies under ``folder`` and is not made again."""

    def training_data(self) -> Dataset:
        """Latents and labels that the networks were trained on, for methods that measure something on them.

        Raises:
            UserError: the benchmark has none at hand.
        """
        raise UserError(f"benchmark {self.name!r} has no training data at hand, and this method measures on them")

    @abstractmethod
    def evaluator(self, folder: Path, device: torch.device) -> Evaluator:
        """The feature space and its reference; kept under ``folder`` likewise."""

    @abstractmethod
    def decode(self, latents: Tensor) -> NDArray[np.uint8]:
        """Latents (N, C, H, W) to images (N, H, W, C) uint8."""

    @property
    @abstractmethod
    def num_classes(self) -> int:
        """Number of classes."""

    def own_roles(self) -> set[str]:
        """Which of the networks are files of the user's own: "main", "weak"."""
        return set(self.own_networks)

    def class_names(self) -> Sequence[str]:
        """What readers call the classes, in the order of the labels; their numbers unless a benchmark knows better.

        Raises:
            UserError: the data that tell are not at hand.
        """
        return [str(label) for label in range(self.num_classes)]

    def wanted(self) -> list[tuple[str, Wanted]]:
        """Files that a run needs and that somebody else publishes, with what each is for."""
        return [(f"{role} network", wanted(source)) for role, source in self.own_networks.items()]

    def reference_path(self) -> Path | None:
        """The file of the reference's statistics, where it is one of somebody else's."""
        return None

    def image_bytes(self) -> int:
        """Of one sample as it is kept, about."""
        recipe = self.recipes(0)["main"].get("config", {})
        return int(recipe.get("input_size", 32)) ** 2 * int(recipe.get("in_channels", 3))

    def protocol(self) -> dict[str, Any]:
        """Name, version and the fields that determine a run; of a plug-in also the sha256 of its code."""
        fields = {
            k: v
            for k, v in self.parameters().items()
            if k not in (*self.free, *self.places, "samples", "block", "labels")
        }
        code = BENCHMARKS.entry(self.name).code
        return {"name": self.name, **code, "version": self.version, "parameters": fields}

    def column(self, metric: str) -> str:
        """Column name of a metric in this benchmark's feature space."""
        return f"{metric}_{self.space}" if self.space else metric


def select(settings: Sequence[Setting], methods: Sequence[str]) -> list[Setting]:
    """The settings of the methods asked for; none asked: all."""
    return [s for s in settings if not methods or s.method in methods]


BENCHMARKS: Registry[Benchmark] = Registry("benchmark", CONTENT, lambda: Benchmark)
register_benchmark = BENCHMARKS.register
