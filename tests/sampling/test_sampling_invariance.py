"""The same samples for any batch size, order and share of the work; rounding alone may differ between batch sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import guidance_bench as gb
from guidance_bench.core.randomness import initial_noise
from guidance_bench.guidance.method import Guidance, extrapolate
from guidance_bench.sampling.blocks import BlockMaker, Job

COUNT = 64
TOLERANCE = 1e-5
SOLVERS = {"euler": {"steps": 4}, "heun": {"steps": 3}, "euler_maruyama": {"steps": 5}}


class Restless(Guidance):
    """Draws everything that a method may draw, and keeps a state: another network's class, a mask and a walk."""

    name = "restless"

    def init(self):
        return {"walk": 0.0}

    def guide(self, step, query):
        other = step.random.integers("class", 10)
        strong, weak = yield query, query.with_label(other)
        mask = (step.random.uniform("mask", step.x.shape[1:]) < 0.5).to(step.x)
        walk = step.state["walk"] + 0.05 * step.random.normal("walk", step.x.shape[1:]).to(step.x)
        step.state["walk"] = walk
        return extrapolate(weak, strong, 1.3) + mask * walk


METHODS = {
    "none": lambda: gb.METHODS.create("none"),
    "ig_cfg": lambda: gb.METHODS.create("ig_cfg"),
    "restless": Restless,
}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    sizes = {"input_size": 8, "patch_size": 2, "in_channels": 1, "hidden_size": 64, "depth": 2, "num_heads": 4}
    backbone = gb.BACKBONES.create("sit", **sizes, num_classes=10, tap=1).build().eval()
    for parameter in backbone.parameters():  # SiT begins with zeros at its heads, which would hide every difference
        parameter.data += 0.05 * torch.randn_like(parameter)
    return backbone


def make(network, method, solver, indices):
    indices = list(indices)
    return gb.sample(
        network,
        METHODS[method](),
        gb.SOLVERS.create(solver, **SOLVERS[solver]),
        labels=torch.tensor([i % 10 for i in indices]),
        noise=initial_noise(11, indices, network.shape),
        seed=11,
        indices=indices,
    )


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("method", METHODS)
def test_batches_of_1_7_and_64_and_any_order_give_the_same_samples(network, method, solver):
    whole = make(network, method, solver, range(COUNT))
    assert float(whole.std()) > 0.3
    sevens = torch.cat([make(network, method, solver, range(i, min(i + 7, COUNT))) for i in range(0, COUNT, 7)])
    some = [0, 1, 30, 63]
    ones = torch.cat([make(network, method, solver, [i]) for i in some])
    assert float((sevens - whole).abs().max()) < TOLERANCE
    assert float((ones - whole[some]).abs().max()) < TOLERANCE
    order = np.random.default_rng(0).permutation(COUNT)
    assert float((make(network, method, solver, order) - whole[order]).abs().max()) < TOLERANCE


def test_the_same_batch_gives_the_same_bits(network):
    assert torch.equal(
        make(network, "restless", "euler_maruyama", range(8)), make(network, "restless", "euler_maruyama", range(8))
    )


def test_samples_would_differ_if_draws_hung_on_the_place_in_the_batch(network):
    """The check above can fail: the same noise under other indices gives other samples."""
    noise, labels = initial_noise(11, range(4), network.shape), torch.arange(4)
    solver = gb.SOLVERS.create("euler_maruyama", steps=5)
    a, b = (
        gb.sample(network, Restless(), solver, labels=labels, noise=noise, seed=11, indices=range(k, k + 4))
        for k in (0, 1)
    )
    assert float((a - b).abs().max()) > 0.1


# -- out of memory


def job(backbone, batch=None, decode=None, **options):
    return Job(
        main=backbone,
        weak=None,
        method=gb.METHODS.create("cfg", scale=1.5),
        solver=gb.SOLVERS.create("euler", steps=3),
        labels="balanced",
        num_classes=backbone.num_classes,
        samples=40,
        seed=2,
        decode=decode or (lambda latents: to_bytes(latents)),
        batch=batch,
        **options,
    )


def to_bytes(latents):
    return (latents.clamp(-2, 2) * 60 + 128).to(torch.uint8).permute(0, 2, 3, 1).numpy()


class Small:
    """Makes a backbone's forward fail above a number of rows, as an allocator does."""

    def __init__(self, monkeypatch, backbone, most, error):
        self.rows = []
        real = backbone.predict

        def predict(x, *rest):
            if len(x) > most:
                raise error
            self.rows.append(len(x))
            return real(x, *rest)

        monkeypatch.setattr(backbone, "predict", predict)


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
    ),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 3 bytes."),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=["cuda", "cpu", "windows", "cublas", "python"])
def test_out_of_memory_halves_the_batch_and_changes_nothing(monkeypatch, capsys, network, error):
    whole = BlockMaker(job(network)).make(0, 20)
    small = Small(monkeypatch, network, 12, error)  # cfg asks for two rows a sample: 20 and 10 samples are too many
    maker = BlockMaker(job(network))
    shard = maker.make(0, 20)
    assert np.abs(shard.images.astype(int) - whole.images).max() <= 1  # rounding of latents by less than 1e-5
    assert (shard.images != whole.images).mean() < 1e-3
    assert np.array_equal(shard.labels, whole.labels)
    assert max(small.rows) == 10 and maker.batch == 5
    assert shard.cost["batch"] == 5 and whole.cost["batch"] == 20
    assert shard.cost["main"] == whole.cost["main"] == 6
    assert shard.cost["forwards"] == 4 * whole.cost["forwards"]
    told = capsys.readouterr().err
    assert "20 samples at a time do not fit into memory; going on with 10" in told and "10 samples" in told
    maker.make(20, 40)
    assert "do not fit" not in capsys.readouterr().err  # it stays halved: no second failure


def test_a_sample_that_does_not_fit_alone_is_said(monkeypatch, network):
    Small(monkeypatch, network, 1, MemoryError())
    with pytest.raises(gb.UserError, match="one sample does not fit into the memory of 'cpu'"):
        BlockMaker(job(network)).make(0, 8)


def test_any_other_error_of_a_network_is_not_taken_for_memory(monkeypatch, network):
    Small(monkeypatch, network, 1, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1"):
        BlockMaker(job(network)).make(0, 8)


def test_memory_that_runs_out_while_decoding_counts_too(network):
    def decode(latents):
        if len(latents) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return to_bytes(latents)

    shard = BlockMaker(job(network, decode=decode)).make(0, 10)
    assert shard.cost["batch"] == 2 and len(shard.images) == 10


def test_a_batch_smaller_than_the_block_is_the_same_run(network):
    whole, sevens = (BlockMaker(job(network, batch)).make(0, 30) for batch in (None, 7))
    assert np.abs(whole.images.astype(int) - sevens.images).max() <= 1
    assert whole.cost["main"] == pytest.approx(sevens.cost["main"], abs=1e-12)
