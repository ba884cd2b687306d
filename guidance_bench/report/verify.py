"""``verify``: a record against its seal, its specification, its evaluator, and samples that are made again.

A seal says only that a record is what was sealed: whoever alters a record can seal it anew. What finds that is the run
itself, so some of its blocks of samples are made again, and its metrics from all samples where these are at hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from ..core.environment import describe
from ..core.errors import UserError
from ..core.randomness import generator
from ..evaluation.uncertainty import block_jackknife
from ..experiments.evidence import Evidence, read_once
from ..experiments.published.at_checkpoints import CheckpointBenchmark
from ..experiments.records import read_record
from ..experiments.runner import Runner
from ..experiments.specification import RunSpec
from ..features.feature_set import FeatureSet
from ..sampling.blocks import BlockMaker
from ..storage.sample_store import Digest, SampleStore
from .checks import Check, compared, verified
from .claims import SAME, alike, arithmetic, project_record, witness
from .kept_samples import Apart, KeptSamples
from .rebuild import differences, rebuild

#: Metrics of samples that are not the record's bit for bit agree within so many errors of one draw (block jackknife).
ERRORS, BLOCKS = 3.0, 10
#: Where only rounding differs, images differ by at most so many grey levels of 255 in the mean. fp32: thirty-four runs
#: of Fashion-MNIST on an H200 and on a CPU lay 0.0001 apart at most, and one thousandth of a scale more moves digits by
#: 0.014 to 0.027. bf16: digits lay up to 0.24 from fp32's, and two devices lie twice that apart at most. tf32: no two
#: devices were at hand; it has three bits more than bf16, so an eighth of its error, doubled for want of a measurement.
ROUNDING = {"fp32": 0.005, "tf32": 0.12, "bf16": 0.5}
#: What must be equal for samples to be compared bit for bit.
MACHINE = ("device", "device_type", "platform")
PACKAGES = ("torch", "numpy")


def verify(
    path: Path, samples: int | None, output: str | Path, device: torch.device, say: Callable[[str], None] = print
) -> list[Check]:
    """Check a record; networks that are missing are trained, which is said.

    Args:
        path: of the record.
        samples: how many samples to make again, in whole blocks chosen by the run's name; None: all, and the metrics.
        output: folder of runs, where networks and samples are looked for. What is made is kept there.
        device: where networks run.
        say: shows progress.

    Raises:
        UserError: no record that can be read, or its benchmark, method or solver is not known here.
    """
    record = read_record(path)
    runner, setting = rebuild(record, output, device)
    spec = runner.specify(setting, record["spec"]["seed"])
    checks = [*_told(record, path), _same_run(spec, record)]
    if not verified(checks[-1:]):
        return [*checks, Check("samples", "not checked", "another specification makes other samples")]
    return [*checks, *_Verification(record, path, runner, spec, setting.create(), say).checks(samples)]


def glance(path: Path, device: torch.device) -> list[Check]:
    """The part of :func:`verify` that makes and fetches nothing: seal, arithmetic, the project's own record of the run,
    and whether this program gives the same run.

    Args:
        path: of the record.
        device: where networks would run.

    Raises:
        UserError: no record that can be read.
    """
    record = read_record(path)
    return [*_told(record, path), _specified(record, device)]


def _told(record: Mapping[str, Any], path: Path) -> list[Check]:
    """What the record and the files beside it tell."""
    sealed = Check("seal", "ok", "the record is what was sealed, and its name is that of its specification")
    return [sealed, arithmetic(record), project_record(record), *witness(record, path)]


def _specified(record: Mapping[str, Any], device: torch.device) -> Check:
    """The specification, where it can be made without files that would be fetched first."""
    try:
        runner, setting = rebuild(record, "outputs", device)
        if isinstance(runner.benchmark, CheckpointBenchmark):
            return Check("specification", "not checked", "that takes the published checkpoint: samples=64")
        return _same_run(runner.specify(setting, record["spec"]["seed"]), record)
    except UserError as error:
        return Check("specification", "not checked", str(error))


def _same_run(spec: RunSpec, record: Mapping[str, Any]) -> Check:
    found = differences(spec.as_dict(), record["spec"])
    return compared("specification", not found, f"this program gives the same run {spec.run_id}", "; ".join(found[:3]))


class _Verification:
    def __init__(
        self,
        record: Mapping[str, Any],
        path: Path,
        runner: Runner,
        spec: RunSpec,
        method: Any,
        say: Callable[[str], None],
    ) -> None:
        self.record, self.runner, self.spec, self.method, self.say = record, runner, spec, method, say
        self.store: SampleStore = runner.store(spec)
        self.kept = KeptSamples(record, path, self.store)
        self.retrained = False
        self.other = self._other_machine()

    def checks(self, samples: int | None) -> Iterator[Check]:
        yield self._evaluator()
        networks = self.runner.networks(self.spec.seed)
        weights = {k: v.get("sha256") for k, v in networks.facts.items() if isinstance(v, dict)}
        then = {k: v.get("sha256") for k, v in self.record["networks"].items()}
        same = weights == {k: then.get(k) for k in weights}
        if not same and "sha256" not in self.record["spec"]["networks"]["main"]:
            self.retrained = True
            self.other = ", ".join(filter(None, [self.other, "training of the networks"]))
        yield self._judged("weights", same, "bit for bit those of the record", "other weights than the record's")
        blocks = self._chosen(samples)
        self.say(f"making {sum(stop - start for start, stop in blocks)} samples again")
        method, _ = self.runner.prepare(self.method, networks, self.spec.seed)
        maker = BlockMaker(self.runner.job(method, networks, self.spec.seed))
        yield self._samples(blocks, maker, whole=len(blocks) == len(self.store.blocks))
        yield self._metrics()

    def _evaluator(self) -> Check:
        evaluator = self.runner.evaluator()
        here = {"name": evaluator.name, **evaluator.identity}
        found = differences(here, {k: v for k, v in self.record["evaluator"].items() if k in here})
        if found and "recipe" in here and all(line.startswith("weights_sha256:") for line in found):
            self.other = ", ".join(filter(None, [self.other, "training of the evaluator"]))
        return self._judged("evaluator", not found, "the same weights and reference", "; ".join(found[:2]))

    def _chosen(self, samples: int | None) -> list[tuple[int, int]]:
        """Blocks in an order that the run's name draws, until they hold as many samples."""
        blocks = self.store.blocks
        if samples is None:
            return blocks
        order = generator(int(self.spec.run_id, 16), "verify").permutation(len(blocks)).tolist()
        if self.kept.few is not None and (self.other or "blocks" not in self.record["samples"]):
            # bits will differ or cannot be compared, and these are of the first block
            order.insert(0, order.pop(order.index(0)))
        chosen: list[tuple[int, int]] = []
        for index in order:
            if sum(stop - start for start, stop in chosen) >= samples:
                break
            chosen.append(blocks[index])
        return sorted(chosen)

    def _samples(self, blocks: list[tuple[int, int]], maker: BlockMaker, whole: bool) -> Check:
        """The blocks made again, by the record's digests; where bits differ, beside the samples that are at hand."""
        total, same, apart, whose = Digest(), [], Apart(), ""
        for start, stop in blocks:
            shard = maker.make(start, stop)
            total.update(shard)
            same.append(self.kept.is_same(shard))
            if same[-1] is not True:
                found, words = self.kept.apart(shard)
                apart, whose = apart + found, whose or words
            if whole and self.store.read(start, stop) is None:
                self.store.write(shard)
        made = f"{total.count} made again"
        exact = total.hexdigest() == self.record["samples"]["digest"] if whole else None if None in same else all(same)
        if exact:
            return Check("samples", "ok", f"{made}, bit for bit")
        if not apart.count:
            return self._unmeasured(made, exact)
        return self._measured(f"{made}, {apart.count} beside {whose}: {apart.words()}", apart.mean)

    def _unmeasured(self, made: str, exact: bool | None) -> Check:
        none = "no samples of the record are at hand to measure a difference by"
        if exact is None:
            words = f"{made}: the record has no digests of blocks and {none}: samples=all"
            return Check("samples", "not checked", words)
        return self._judged("samples", False, "", f"{made}: not those of the record; {none}")

    def _measured(self, words: str, mean: float) -> Check:
        """A difference that was measured; only another machine or other versions explain one."""
        if self.retrained:
            return Check("samples", "not checked", f"{words} (by networks that were trained again)")
        if not self.other:
            return Check("samples", "differs", words)
        allowed = ROUNDING[self.spec.precision]
        limit = f"than {allowed:g} in the mean, what rounding does in {self.spec.precision}"
        ok = f"{words}; no more {limit}: another {self.other}"
        return compared("samples", mean <= allowed, ok, f"{words}; more {limit}")

    def _metrics(self) -> Check:
        if any(not self.store.path(*block).exists() for block in self.store.blocks):
            return Check("metrics", "not checked", "the samples are not all here: samples=all makes them")
        seen = read_once(self.runner.evaluator(), self.store)
        exact = seen.digest == self.record["samples"]["digest"]
        if not exact and not self.other:
            return self._judged("metrics", False, "", "the samples here are not those of the record")
        return self._values(seen) if exact and not self.other else self._alike(seen.features)

    def _alike(self, features: FeatureSet) -> Check:
        """Metrics of samples, or by an evaluator, with other bits: within the error of one draw."""
        columns = self.runner.score(features)
        errors = {
            name: block_jackknife(lambda part, name=name: self.runner.score(part)[name], features, BLOCKS).error
            for name in columns
        }
        apart = {name: abs(value - self._recorded(name)) for name, value in columns.items()}
        wrong = [name for name in columns if not apart[name] <= ERRORS * errors[name] + SAME * abs(columns[name])]
        shown = [
            f"{name} is {columns[name]:.6g}, the record says {self._recorded(name):.6g} (error {errors[name]:.2g})"
            for name in wrong
        ]
        ok = f"all {len(columns)} made again, within {ERRORS:.0f} errors of a draw: another {self.other}"
        return compared("metrics", not wrong, ok, "; ".join(shown[:2]))

    def _values(self, seen: Evidence) -> Check:
        values = self.runner.score(seen.features)
        wrong = [
            f"{name} is {value:.6g}, the record says {then:.6g}"
            for name, value in values.items()
            if not alike(value, then := self._recorded(name))
        ]
        return self._judged("metrics", not wrong, f"all {len(values)} made again", "; ".join(wrong[:2]))

    def _recorded(self, column: str) -> float:
        metric = self.record["metrics"].get(column)
        return math.nan if metric is None else float(metric["mean"])

    def _other_machine(self) -> str:
        """In what the machine and the versions differ from the record's; "" where they do not."""
        here, there = describe(self.runner.device), self.record["environment"]
        found = [k for k in MACHINE if here.get(k) != there.get(k)]
        found += [p for p in PACKAGES if here["packages"].get(p) != there.get("packages", {}).get(p)]
        return ", ".join(found)

    def _judged(self, what: str, same: bool, ok: str, differs: str) -> Check:
        """A difference on another machine or with other versions is reported and is no fault of the record."""
        if not same and self.other:
            return Check(what, "not checked", f"{differs} (made with another {self.other}: not to be compared by bits)")
        return compared(what, same, ok, differs)
