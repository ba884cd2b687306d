"""Decoding, writing and features beside the sampling: the same samples, bounded memory, and errors that stop all."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from fake_features import FakeInception

import guidance_bench as gb
from guidance_bench.experiments.benchmark import Evaluator
from guidance_bench.experiments.evidence import keep_features, keeper, read_once
from guidance_bench.features.kept import FeatureMaker
from guidance_bench.sampling import blocks
from guidance_bench.sampling.blocks import BlockMaker, Job, generate
from guidance_bench.storage.sample_store import SampleStore

SHAPE = (1, 4, 4)


class Network(gb.Backbone):
    num_classes, shape, depth = 10, SHAPE, 2

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def predict(self, x, t, y, taps, edits):
        return gb.Prediction(self.weight * x + 0.01 * y.view(-1, 1, 1, 1))


def pixels(latents):
    return (latents.clamp(-3, 3) * 40 + 128).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def job(decode=pixels, batch=None):
    return Job(
        main=Network(),
        weak=None,
        method=gb.METHODS.create("none"),
        solver=gb.SOLVERS.create("euler_maruyama", steps=4),
        labels="balanced",
        num_classes=10,
        samples=60,
        seed=3,
        decode=decode,
        batch=batch,
    )


def store(folder):
    return SampleStore(folder / "samples", "abc", 60, 10)


def test_the_samples_are_those_of_one_thread(tmp_path):
    plain, beside = store(tmp_path / "plain"), store(tmp_path / "beside")
    maker = BlockMaker(job())
    for block in plain.blocks:
        plain.write(maker.make(*block))
    generate(job(), beside, "t")
    assert beside.missing() == [] and beside.digest() == plain.digest()
    assert [shard.cost["nfe"] for shard in beside] == [shard.cost["nfe"] for shard in plain]


def test_a_block_is_finished_while_the_next_is_sampled(tmp_path, monkeypatch):
    """The first block's decoding ends only once the second block's sampling has begun."""
    begun = threading.Event()
    places, threads = [], set()
    real = blocks.sample

    def sample(*arguments, **given):
        places.append(given["indices"].start)
        if places[-1] == 10:
            begun.set()
        return real(*arguments, **given)

    def decode(latents):
        threads.add(threading.current_thread().name)
        assert begun.wait(20)
        return pixels(latents)

    monkeypatch.setattr(blocks, "sample", sample)
    generate(job(decode), store(tmp_path), "t")
    assert places == [0, 10, 20, 30, 40, 50] and threads == {"beside"}


def test_no_more_than_two_blocks_are_under_way(tmp_path, monkeypatch):
    """One is finished, one is sampled: however many there are."""
    lock, alive, most = threading.Lock(), 0, 0
    real = BlockMaker.sample, SampleStore.write

    def sample(self, *arguments):
        nonlocal alive, most
        with lock:
            alive += 1
            most = max(most, alive)
        return real[0](self, *arguments)

    def write(self, shard):
        nonlocal alive
        real[1](self, shard)
        with lock:
            alive -= 1

    monkeypatch.setattr(BlockMaker, "sample", sample)
    monkeypatch.setattr(SampleStore, "write", write)
    generate(job(), store(tmp_path), "t")
    assert alive == 0 and most == 2


@pytest.mark.parametrize("batch", [None, 2])
def test_an_error_of_the_writing_stops_the_sampling(tmp_path, monkeypatch, batch):
    sampled = []
    real = blocks.sample, SampleStore.write

    def sample(*arguments, **given):
        sampled.append(given["indices"].start)
        return real[0](*arguments, **given)

    def write(self, shard):
        if shard.start == 10:
            raise gb.UserError("cannot write: No space left on device")
        real[1](self, shard)

    monkeypatch.setattr(blocks, "sample", sample)
    monkeypatch.setattr(SampleStore, "write", write)
    with pytest.raises(gb.UserError, match="No space left"):
        generate(job(batch=batch), store(tmp_path), "t")
    assert max(sampled) < 30
    monkeypatch.undo()
    assert store(tmp_path).missing() == [(10, 20), (20, 30), (30, 40), (40, 50), (50, 60)]
    generate(job(), store(tmp_path), "t")
    whole = store(tmp_path / "whole")
    generate(job(), whole, "t")
    assert store(tmp_path).digest() == whole.digest()


@pytest.mark.parametrize("error", [gb.UserError("a bug in the method"), KeyboardInterrupt()])
def test_an_error_of_the_sampling_loses_no_finished_block(tmp_path, monkeypatch, error):
    real = blocks.sample

    def sample(*arguments, **given):
        if given["indices"].start == 30:
            raise error
        return real(*arguments, **given)

    monkeypatch.setattr(blocks, "sample", sample)
    with pytest.raises(type(error)):
        generate(job(), store(tmp_path), "t")
    assert store(tmp_path).missing() == [(30, 40), (40, 50), (50, 60)]


# -- features


def test_features_are_kept_as_the_blocks_are_written(tmp_path):
    fake = FakeInception()
    evaluator = Evaluator("inception", FeatureMaker([fake]), None, {})
    beside, after = store(tmp_path / "beside"), store(tmp_path / "after")
    generate(job(), beside, "t", keeper(evaluator, beside))
    assert fake.images == 60
    keep_features(evaluator, beside)
    seen = read_once(evaluator, beside).features
    assert fake.images == 60  # all of them are there
    generate(job(), after, "t")
    plain = read_once(evaluator, after).features
    for name in ("features", "spatial"):
        assert np.array_equal(seen.array(name), plain.array(name))


def test_an_evaluator_that_keeps_nothing_has_nothing_to_do_beside(tmp_path):
    assert keeper(Evaluator("pixels", lambda images: {}, None, {}), store(tmp_path)) is None


def test_an_error_of_the_features_stops_the_sampling_and_loses_no_sample(tmp_path):
    class Broken(FakeInception):
        def __call__(self, images):
            if self.images == 20:
                raise gb.UserError("the weights are gone")
            return super().__call__(images)

    evaluator = Evaluator("inception", FeatureMaker([Broken()]), None, {})
    place = store(tmp_path)
    with pytest.raises(gb.UserError, match="the weights are gone"):
        generate(job(), place, "t", keeper(evaluator, place))
    assert place.missing()[0] in ((30, 40), (40, 50)) and len(place.missing()) < 4


def test_a_stop_does_not_wait_for_the_features_of_a_block(tmp_path, monkeypatch):
    """Features on a CPU take a minute a block; a stop waits for one pass of the network alone."""
    passes = []
    sampling = threading.Event()

    class Slow(FakeInception):
        def __call__(self, images):
            passes.append(len(images))
            sampling.wait(20)
            return super().__call__(images)

    real = blocks.sample

    def sample(*arguments, **given):
        if given["indices"].start == 10:
            raise KeyboardInterrupt
        return real(*arguments, **given)

    monkeypatch.setattr(blocks, "sample", sample)
    evaluator = Evaluator("inception", FeatureMaker([Slow()], batch_size=2), None, {})
    place = store(tmp_path)
    stop = threading.Event.set

    def release(self):
        stop(self)
        stop(sampling)

    monkeypatch.setattr(threading.Event, "set", release)
    with pytest.raises(KeyboardInterrupt):
        generate(job(), place, "t", keeper(evaluator, place))
    assert len(passes) <= 1 and place.missing()[0] == (10, 20)


def test_features_are_beside_on_a_gpu_without_tf32_alone(tmp_path):
    from guidance_bench.experiments.runner import Runner
    from guidance_bench.experiments.workspace import Workspace

    def allowed(device, precision):
        solver = gb.SOLVERS.create("euler", steps=2)
        benchmark = gb.BENCHMARKS.create("digits")
        return Runner(
            benchmark, solver, Workspace(tmp_path), torch.device(device), precision=precision
        )._features_beside()

    assert [allowed("cuda", p) for p in ("fp32", "bf16", "tf32")] == [True, True, False]
    assert not allowed("cpu", "fp32")


def test_the_switch_of_float32_products_stands_still_while_two_threads_compute(tmp_path):
    seen = set()

    def decode(latents):
        seen.add((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))
        return pixels(latents)

    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = True
    try:
        generate(job(decode), store(tmp_path), "t")
        BlockMaker(job(decode)).make(0, 10)
        assert seen == {(False, False)} and torch.backends.cudnn.allow_tf32
    finally:
        torch.backends.cudnn.allow_tf32 = before
