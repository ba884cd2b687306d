"""One run, from its specification to its record; and a benchmark's whole line-up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from accelerate import PartialState

from .backbone import Backbone
from .benchmark import Benchmark, Evaluator, Networks, Setting
from .environment import COMMAND, describe, peak_memory
from .feature_set import FeatureSet
from .generate import Job, generate, total_cost
from .guidance import METHODS, Guidance
from .metrics.base import METRICS
from .progress import say
from .results import SCHEMA, metric_values, write_record
from .shards import SampleStore
from .solvers import Solver
from .spec import RunSpec
from .workspace import Workspace


@dataclass
class Runner:
    """Runs settings of one benchmark; networks and features are made once and shared by all of them.

    Attributes:
        benchmark: the protocol.
        solver: of all runs.
        workspace: where everything lies.
        device: where the networks run.
    """

    benchmark: Benchmark
    solver: Solver
    workspace: Workspace
    device: torch.device
    _networks: dict[int, Networks] = field(default_factory=dict)
    _evaluator: Evaluator | None = None

    def specify(self, setting: Setting, seed: int) -> RunSpec:
        """What a run of this setting would compute."""
        method = setting.create()
        return RunSpec(
            benchmark=self.benchmark.protocol(),
            networks=self.benchmark.recipes(seed),
            method={**_named(method), "plugin_sha256": METHODS.entry(method.name).sha256},
            solver=_named(self.solver),
            labels=self.benchmark.labels,
            samples=self.benchmark.samples,
            block=self.benchmark.block,
            precision="fp32",
            metrics=self.benchmark.metrics,
            seed=seed,
        )

    def run(self, setting: Setting, seed: int) -> dict[str, Any]:
        """The record of a setting: the one that is there, or the one that is now made."""
        spec = self.specify(setting, seed)
        done = self.workspace.record(spec.run_id)
        if done is not None:
            return done
        main_process = PartialState().is_main_process
        with self._alone(spec.run_id):
            done = self.workspace.record(spec.run_id)
            if done is not None:
                return done
            networks = self.networks(seed)
            store = self.store(spec)
            generate(self._job(setting.create(), networks, seed), store, f"{title(setting)} seed {seed}")
            if main_process:
                self._evaluate(spec, networks, store)
        PartialState().wait_for_everyone()
        record = self.workspace.record(spec.run_id)
        assert record is not None
        return record

    def run_all(self, settings: Sequence[Setting], seeds: Sequence[int]) -> list[dict[str, Any]]:
        """Run every setting for every seed, saying how each came out."""
        records = []
        column = self.benchmark.column(self.benchmark.primary)
        jobs = [(seed, setting) for seed in seeds for setting in settings]
        for number, (seed, setting) in enumerate(jobs, 1):
            started = time.perf_counter()
            record = self.run(setting, seed)
            records.append(record)
            took = time.perf_counter() - started
            value = record["metrics"][column]["mean"]
            line = f"[{number:{len(str(len(jobs)))}}/{len(jobs)}] {title(setting)}, seed {seed}"
            if PartialState().is_main_process:
                say(f"{line:<46} {self.benchmark.primary} {value:8.3f}  {took:5.1f} s")
        return records

    def networks(self, seed: int) -> Networks:
        """The benchmark's networks of a seed, made at the first call."""
        if seed not in self._networks:
            with self._alone(f"models/{self.benchmark.name}-{seed}"):
                self._networks = {seed: self.benchmark.networks(seed, self.workspace.models, self.device)}
        return self._networks[seed]

    def evaluator(self) -> Evaluator:
        """The benchmark's feature space, made at the first call."""
        if self._evaluator is None:
            folder = self.workspace.features(self.benchmark.space or "inception")
            self._evaluator = self.benchmark.evaluator(folder, self.device)
        return self._evaluator

    def store(self, spec: RunSpec) -> SampleStore:
        """The samples of a run."""
        return SampleStore(self.workspace.samples(spec.run_id), spec.run_id, spec.samples, spec.block)

    def _alone(self, name: str) -> AbstractContextManager[None]:
        return self.workspace.lock(name) if PartialState().is_main_process else nullcontext()

    def _job(self, method: Guidance, networks: Networks, seed: int) -> Job:
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
        )

    def _evaluate(self, spec: RunSpec, networks: Networks, store: SampleStore) -> None:
        evaluator = self.evaluator()
        features = extract(evaluator, store)
        values: dict[str, float] = {}
        for name in self.benchmark.metrics:
            values |= METRICS.create(name).compute(evaluator.reference, features)
        record = {
            "schema": SCHEMA,
            "run_id": spec.run_id,
            "spec": spec.as_dict(),
            "metrics": {self.benchmark.column(k): metric_values([v]) for k, v in values.items()},
            "evaluator": {"name": evaluator.name, **evaluator.identity},
            "networks": networks.facts,
            "cost": {**total_cost(store), "peak_memory": peak_memory(self.device)},
            "samples": {"count": spec.samples, "block": spec.block, "digest": store.digest()},
            "environment": describe(self.device),
            "command": COMMAND,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        write_record(self.workspace.record_path(spec.run_id), record)


def extract(evaluator: Evaluator, store: SampleStore) -> FeatureSet:
    """Features of all samples of a store, with their intended labels."""
    parts = [({**evaluator.extract(shard.images)}, shard.labels) for shard in store]
    names = parts[0][0].keys()
    arrays: dict[str, Any] = {name: np.concatenate([features[name] for features, _ in parts]) for name in names}
    arrays["labels"] = np.concatenate([labels for _, labels in parts])
    return FeatureSet(arrays, space=evaluator.name, title="the samples")


def title(setting: Setting) -> str:
    """A setting in few words: the method and the parameters that are not its defaults."""
    defaults = {p.name: p.default for p in METHODS.parameters(setting.method)}
    shown = [f"{k}={v}" for k, v in setting.parameters.items() if v != defaults.get(k) or "scale" in k]
    return " ".join([setting.method, *shown])


def _named(thing: Any) -> dict[str, Any]:
    return {"name": thing.name, "parameters": thing.parameters()}
