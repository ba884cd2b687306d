"""What a block is made of: noise, labels and later draws by the samples' places in the whole set; cost by sample."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import guidance_bench as gb
from guidance_bench.core.randomness import KeyedRandom, initial_noise, label_sequence
from guidance_bench.experiments.evidence import total_cost
from guidance_bench.sampling import blocks
from guidance_bench.sampling.blocks import BlockMaker, Job

SHAPE = (1, 2, 2)


class Network(gb.Backbone):
    num_classes, shape, depth = 10, SHAPE, 2

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def predict(self, x, t, y, taps, edits):
        return gb.Prediction(self.weight * x)


def job(seed=0, batch=None, labels="random", solver="euler", samples=30):
    return Job(
        main=Network(),
        weak=None,
        method=gb.METHODS.create("none"),
        solver=gb.SOLVERS.create(solver, steps=4),
        labels=labels,
        num_classes=10,
        samples=samples,
        seed=seed,
        decode=lambda latents: (latents.clamp(-3, 3) * 40 + 128).to(torch.uint8).permute(0, 2, 3, 1).numpy(),
        batch=batch,
    )


@pytest.fixture
def calls(monkeypatch):
    """The arguments of every call of the sampler; it costs more forwards the more samples come after the tenth."""
    seen = []

    def sample(backbone, method, solver, **given):
        seen.append(given)
        given["ledger"].main = 10.0 * len(seen)
        given["ledger"].weak = 1.0 * len(seen)
        given["ledger"].forwards = len(seen)
        return given["noise"]

    monkeypatch.setattr(blocks, "sample", sample)
    return seen


@pytest.mark.parametrize("policy", ["random", "balanced"])
@pytest.mark.parametrize("seed", [0, 7])
def test_every_batch_is_given_what_belongs_to_its_places(calls, policy, seed):
    maker = BlockMaker(job(seed, 4, policy))
    shards = [maker.make(0, 10), maker.make(10, 20)]
    places = [list(given["indices"]) for given in calls]
    assert places == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], [10, 11, 12, 13], [14, 15, 16, 17], [18, 19]]
    sequence = label_sequence(policy, 30, 10, seed)
    for given, place in zip(calls, places, strict=True):
        assert given["seed"] == seed
        assert torch.equal(given["labels"], sequence[place])
        assert torch.equal(given["noise"], initial_noise(seed, place, SHAPE))
    assert shards[0].labels.tolist() == sequence[:10].tolist()
    assert shards[1].labels.tolist() == sequence[10:20].tolist() != shards[0].labels.tolist()


def test_noise_and_labels_differ_from_seed_to_seed_and_from_place_to_place():
    noise = torch.cat([initial_noise(seed, range(20), (3,)) for seed in (0, 1)])
    assert len(noise.unique(dim=0)) == 40
    for policy in ("random", "balanced"):
        assert not torch.equal(label_sequence(policy, 100, 10, 0), label_sequence(policy, 100, 10, 1))
    draws = [KeyedRandom(seed, [3]).at(step).normal(what, (2,)) for seed in (0, 1) for step in (0, 1) for what in "ab"]
    assert len(torch.cat(draws).unique(dim=0)) == 8


def test_later_draws_hang_on_the_seed_and_on_the_place():
    """The same noise and labels: only the draws after the first are left to differ."""
    noise, labels = initial_noise(0, range(6), SHAPE), torch.arange(6)

    def make(seed, indices):
        solver = gb.SOLVERS.create("euler_maruyama", steps=4)
        return gb.sample(
            Network(), "none", solver, labels=labels, noise=noise, seed=seed, indices=indices, state_dtype=torch.float64
        )

    first = make(0, range(6))
    assert torch.equal(make(0, range(6)), first)
    for other in (make(1, range(6)), make(0, range(6, 12))):
        assert (other - first).abs().flatten(1).amax(1).min() > 1e-3  # of every sample
    moved = make(0, [5, 0, 1, 2, 3, 4])
    assert not torch.allclose(moved[0], first[0]) and not torch.allclose(moved[1], first[1])


@pytest.mark.parametrize("solver", ["euler", "euler_maruyama"])
def test_runs_of_two_seeds_share_no_sample(solver):
    shards = [BlockMaker(job(seed, solver=solver)).make(0, 30) for seed in (0, 1)]
    pixels = np.concatenate([s.images.reshape(30, -1) for s in shards])
    assert len(np.unique(pixels, axis=0)) == 60


def test_the_runner_gives_its_seed_to_the_job(tmp_path):
    from guidance_bench.experiments.benchmark import Networks
    from guidance_bench.experiments.runner import Runner
    from guidance_bench.experiments.workspace import Workspace

    runner = Runner(
        gb.BENCHMARKS.create("digits"), gb.SOLVERS.create("euler", steps=2), Workspace(tmp_path), torch.device("cpu")
    )
    for seed in (0, 5):
        made = runner.job(gb.METHODS.create("none"), Networks(Network(), None, {}), seed)
        assert (made.seed, made.samples, made.labels) == (seed, 800, "balanced")


# -- cost


def test_the_cost_of_a_block_is_weighted_by_its_batches(calls):
    """Batches of 4, 4 and 2 samples that cost 10, 20 and 30 evaluations each."""
    cost = BlockMaker(job(batch=4)).make(0, 10).cost
    assert cost["main"] == pytest.approx((4 * 10 + 4 * 20 + 2 * 30) / 10)
    assert cost["weak"] == pytest.approx((4 * 1 + 4 * 2 + 2 * 3) / 10)
    assert cost["forwards"] == 6 and cost["batch"] == 4 and cost["seconds"] > 0


def test_the_cost_of_a_run_is_weighted_by_its_blocks():
    """Blocks of 10 and 5 samples."""
    small = {"main": 8.0, "weak": 2.0, "nfe": 10.0, "forwards": 4.0, "seconds": 1.0}
    large = {"main": 20.0, "weak": 5.0, "nfe": 25.0, "forwards": 7.0, "seconds": 3.0}
    assert total_cost([(10, small), (5, large)]) == {
        "main": 12.0, "weak": 3.0, "nfe": 15.0, "forwards": 5.0, "seconds": 4.0, "images_per_second": 3.75,
    }  # fmt: skip
