"""One run, from its specification to its record; and a benchmark's whole line-up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch

from ..core.environment import describe, peak_memory
from ..core.errors import UserError
from ..core.identity import short_hash
from ..core.parameters import plain
from ..core.processes import after_first, agree, is_first
from ..evaluation.evaluate import make_now
from ..features.feature_set import FeatureSet
from ..guidance.composition import changed_with
from ..guidance.method import METHODS, Guidance
from ..guidance.prepass import Prepass
from ..metrics.base import METRICS, compute_all
from ..networks.backbone import Backbone
from ..networks.compiled import compiled
from ..networks.precision import check_precision, in_precision
from ..sampling.blocks import Job, generate
from ..sampling.dry_run import check_method
from ..sampling.solvers import SOLVERS, Solver
from ..storage.sample_store import SampleStore
from ..training.for_benchmarks import untrained
from .benchmark import Benchmark, Evaluator, Networks, Setting
from .evidence import WITNESS, keep_features, keeper, read_once, write_witness
from .job_report import Report
from .records import SCHEMA, metric_values, write_record
from .repeat import command_of
from .specification import RunSpec
from .workspace import Workspace


@dataclass
class Runner:
    """Runs settings of one benchmark; networks and features are made once and shared by all of them.

    Attributes:
        benchmark: the protocol.
        solver: of all runs.
        workspace: where everything lies.
        device: where the networks run.
        batch: largest number of samples in one forward pass; None: a whole block.
        precision: of the networks, "fp32", "tf32" or "bf16"; "": the benchmark's own.
        compile: run the networks through torch.compile.
    """

    benchmark: Benchmark
    solver: Solver
    workspace: Workspace
    device: torch.device
    batch: int | None = None
    precision: str = ""
    compile: bool = False
    _networks: dict[int, Networks] = field(default_factory=dict)
    _evaluator: Evaluator | None = None

    def __post_init__(self) -> None:
        self.precision = check_precision(self.precision or self.benchmark.precision)

    def specify(self, setting: Setting, seed: int) -> RunSpec:
        """What a run of this setting would compute."""
        method = setting.create()
        return RunSpec(
            benchmark=self.benchmark.protocol(),
            networks=self.benchmark.recipes(seed),
            method=_identity(method, self.solver),
            solver=_solver(self.solver),
            labels=self.benchmark.labels,
            samples=self.benchmark.samples,
            block=self.benchmark.block,
            precision=self.precision,
            metrics=self.benchmark.metrics,
            seed=seed,
            code=_metrics_code(self.benchmark.metrics),
        )

    def run(self, setting: Setting, seed: int) -> dict[str, Any]:
        """The record of a setting: the one that is there, or the one that is now made.

        Raises:
            UserError: the record is corrupt, or damaged samples behind it came out differently when made again.
        """
        spec = self.specify(setting, seed)
        store = self.store(spec)
        record, whole = agree(lambda: self._look(spec, store))
        if record is not None and whole:
            return record
        with self._alone(spec.run_id):
            record, whole = agree(lambda: self._look(spec, store))  # another command may have done it meanwhile
            if record is not None and whole:
                return record
            networks = self.networks(seed)
            method, measured = self.prepare(setting.create(), networks, seed)
            keep = keeper(self._evaluator_of_all(), store) if record is None and self._features_beside() else None
            generate(self.job(method, networks, seed), store, f"{title(setting)} seed {seed}", keep)
            if record is None:
                evaluator = self._evaluator_of_all()
                keep_features(evaluator, store)
                make_now([METRICS.create(name) for name in self.benchmark.metrics], evaluator.reference)
            return agree(lambda: self._record(spec, networks, measured, store))

    def _features_beside(self) -> bool:
        """Whether features are made while samples are: on a CPU both want the same cores, and TF32 is not for them."""
        return self.device.type != "cpu" and self.precision != "tf32"

    def _look(self, spec: RunSpec, store: SampleStore) -> tuple[dict[str, Any] | None, bool]:
        """The record, if the run is done, and whether the samples behind it are as it says (or all deleted)."""
        record = self.workspace.record(spec.run_id)
        if record is None or not store.folder.exists():
            return record, True
        try:
            return record, store.digest() == record["samples"]["digest"]
        except UserError:
            return record, False

    def _record(
        self, spec: RunSpec, networks: Networks, measured: dict[str, Any], store: SampleStore
    ) -> dict[str, Any]:
        """A new record; or the one that was there, if the samples that have been made again are those of it."""
        record = self.workspace.record(spec.run_id)
        if record is None:
            return self._evaluate(spec, networks, measured, store)
        if store.digest() != record["samples"]["digest"]:
            device = record["environment"]["device"]
            raise UserError(
                f"the samples of run {spec.run_id} are not those of its record, made on {device}: "
                f"delete {str(store.folder.parent)!r} to compute all of it again"
            )
        return record

    def run_all(self, settings: Sequence[Setting], seeds: Sequence[int]) -> list[dict[str, Any]]:
        """Run every setting for every seed, saying how each came out.

        Raises:
            UserError: as :meth:`run`; a method that the networks cannot serve, before anything is trained.
        """
        self.rehearse(settings, seeds[0])
        jobs = [(seed, setting) for seed in seeds for setting in settings]
        report = Report(self.benchmark, [self.specify(setting, seed) for seed, setting in jobs], self.workspace)
        records = []
        with report:
            for seed, setting in jobs:
                record = self.run(setting, seed)
                report.done(f"{title(setting)}, seed {seed}", record)
                records.append(record)
        return records

    def rehearse(self, settings: Sequence[Setting], seed: int) -> None:
        """The methods' dry runs, on networks that need not be trained for it; a published checkpoint is not loaded.

        Raises:
            UserError: a method that the networks cannot serve.
        """
        recipes = self.benchmark.recipes(seed).items()
        networks = {name: untrained(recipe) for name, recipe in recipes if "config" in recipe}
        for method in (setting.create() for setting in settings):
            if "main" in networks and not _measures(method):
                check_method(method, networks["main"], networks.get("weak"), self.solver)

    def networks(self, seed: int) -> Networks:
        """The benchmark's networks of a seed, made at the first call: the first process trains, the others load."""
        if seed not in self._networks:
            names = sorted({f"models/{short_hash(recipe)}" for recipe in self.benchmark.recipes(seed).values()})
            with ExitStack() as locks:
                for name in names:
                    locks.enter_context(self._alone(name))
                made = after_first(lambda: self.benchmark.networks(seed, self.workspace.models, self.device))
            weak = None if made.weak is None else self._ready(made.weak)
            self._networks = {seed: Networks(self._ready(made.main), weak, made.facts)}
        return self._networks[seed]

    def _ready(self, network: Backbone) -> Backbone:
        network = in_precision(network, self.precision)
        return compiled(network) if self.compile else network

    def prepare(self, method: Guidance, networks: Networks, seed: int) -> tuple[Guidance, dict[str, Any]]:
        """A method after what it measures of the main network: the first process measures, the others read."""
        if not _measures(method):
            return method, {}
        measured = {"method": method.name, **_code(method), "network": self.benchmark.recipes(seed)["main"]}
        name = short_hash(measured if self.precision == "fp32" else {**measured, "precision": self.precision})
        prepass = Prepass(networks.main, self.benchmark.training_data, self.workspace.prepass(name))
        with self._alone(f"prepass/{name}"):
            return after_first(lambda: method.prepare(prepass))

    def evaluator(self) -> Evaluator:
        """The benchmark's feature space, made at the first call."""
        if self._evaluator is None:
            space = self.benchmark.space or "inception"
            with self._alone(f"features/{space}"):
                self._evaluator = self.benchmark.evaluator(self.workspace.features(space), self.device)
        return self._evaluator

    def _evaluator_of_all(self) -> Evaluator:
        """The same on every process; all must call it."""
        return self.evaluator() if self.benchmark.together else after_first(self.evaluator)

    def score(self, features: FeatureSet) -> dict[str, float]:
        """The benchmark's metrics of a run's features, by column name."""
        metrics = [METRICS.create(name) for name in self.benchmark.metrics]
        values = compute_all(metrics, self.evaluator().reference, features)
        return {self.benchmark.column(name): value for name, value in values.items()}

    def store(self, spec: RunSpec) -> SampleStore:
        """The samples of a run."""
        return SampleStore(self.workspace.samples(spec.run_id), spec.run_id, spec.samples, spec.block)

    def _alone(self, name: str) -> AbstractContextManager[None]:
        """The lock that keeps another command off; among this command's own processes the first one holds it."""
        return self.workspace.lock(name) if is_first() else nullcontext()

    def job(self, method: Guidance, networks: Networks, seed: int) -> Job:
        """What the sampler is to make for a prepared method."""
        weak: Backbone | None = networks.weak
        return Job(
            main=networks.main,
            weak=weak,
            method=method,
            solver=self.solver,
            labels=self.benchmark.labels,
            num_classes=self.benchmark.num_classes,
            samples=self.benchmark.samples,
            seed=seed,
            decode=self.benchmark.decode,
            precision=self.precision,
            batch=self.batch,
        )

    def _evaluate(
        self, spec: RunSpec, networks: Networks, measured: dict[str, Any], store: SampleStore
    ) -> dict[str, Any]:
        evaluator = self.evaluator()
        seen = read_once(evaluator, store)
        method = METHODS.create(spec.method["name"], **spec.method["parameters"])
        other = {"precision": self.precision if self.precision != self.benchmark.precision else None}
        command = command_of(self.benchmark, method, self.solver, spec.seed, batch=self.batch, **other)
        record = {
            "schema": SCHEMA,
            "run_id": spec.run_id,
            "spec": spec.as_dict(),
            "metrics": {column: metric_values([value]) for column, value in self.score(seen.features).items()},
            "evaluator": {"name": evaluator.name, **evaluator.identity},
            "networks": networks.facts,
            **({"prepass": measured} if measured else {}),
            "cost": {**seen.cost, "peak_memory": peak_memory(self.device)},
            "samples": {
                **{"count": spec.samples, "block": spec.block, "batch": seen.batch, "digest": seen.digest},
                "blocks": seen.blocks,
                "witness": write_witness(store, self.workspace.record_path(spec.run_id).with_name(WITNESS)),
            },
            "environment": {**describe(self.device), **({"compile": True} if self.compile else {})},
            "command": command,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        return write_record(self.workspace.record_path(spec.run_id), record)


def title(setting: Setting) -> str:
    """A setting in few words: the method and the parameters that are not its defaults."""
    defaults = {p.name: plain(p.default) for p in METHODS.parameters(setting.method)}
    shown = [f"{k}={v}" for k, v in setting.parameters.items() if plain(v) != defaults.get(k) or "scale" in k]
    return " ".join([setting.method, *shown])


def _measures(method: Guidance) -> bool:
    """Whether a method has a pre-pass of its own."""
    return type(method).prepare is not Guidance.prepare


def _identity(method: Guidance, solver: Solver) -> dict[str, Any]:
    code = {**_code(method), **changed_with(method, solver.name)}
    return {"name": method.name, "parameters": method.identity(), **code}


def _code(method: Guidance) -> dict[str, Any]:
    return {"plugin_sha256": None, **METHODS.entry(method.name).code}


def _solver(solver: Solver) -> dict[str, Any]:
    return {"name": solver.name, "parameters": solver.parameters(), **SOLVERS.entry(solver.name).code}


def _metrics_code(metrics: Sequence[str]) -> dict[str, Any]:
    """What names the code of metrics that are not ours, or are no longer what they were at first."""
    changed = {name: code for name in metrics if (code := METRICS.entry(name).code)}
    return {"metrics": changed} if changed else {}
