"""What only a CUDA GPU can show: the same numbers as on the CPU, compiled or not. Skipped where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import guidance_bench as gb
from guidance_bench.metrics import feature_statistics, frechet_distance, precision_recall
from guidance_bench.networks.compiled import compiled

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

CONFIGS = {
    "sit": {"hidden_size": 64, "depth": 4, "num_heads": 4, "input_size": 8, "num_classes": 10, "tap": 2},
    "lightningdit": {
        **{"hidden_size": 64, "depth": 4, "num_heads": 4, "input_size": 4, "in_channels": 4, "num_classes": 10},
        **{"tap": 2, "qk_norm": True},
    },
}
OWN = sorted(name for name in gb.METHODS.names() if gb.METHODS.entry(name).source == "built in")


def network(name: str, device: str, seed: int = 0) -> gb.Backbone:
    torch.manual_seed(seed)
    made = gb.BACKBONES.create(name, **CONFIGS[name]).build()
    for weight in made.parameters():
        if weight.requires_grad and weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.1)
    return made.eval().requires_grad_(False).to(device)


def samples(name: str, device: str, method: str, solver: str = "euler", count: int = 5, **options) -> torch.Tensor:
    noise = torch.randn(count, *network(name, "cpu").shape, generator=torch.Generator().manual_seed(1))
    result = gb.sample(
        network(name, device),
        method,
        gb.SOLVERS.create(solver, steps=6),
        weak=network(name, device, seed=1),
        labels=torch.arange(count).to(device),
        noise=noise.to(device),
        seed=3,
        **options,
    )
    assert result.device.type == device
    return result.cpu()


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("solver", ["euler", "heun", "euler_maruyama"])
@pytest.mark.parametrize("method", OWN)
@pytest.mark.parametrize("name", CONFIGS)
def test_a_gpu_gives_the_samples_of_the_cpu(name, method, solver):
    try:
        expected = samples(name, "cpu", method, solver)
    except gb.UserError as refused:
        with pytest.raises(gb.UserError) as again:
            samples(name, "cuda", method, solver)
        assert str(again.value) == str(refused)
        return
    # float32 networks sum in another order; the rest is that, carried through six steps
    assert distance(samples(name, "cuda", method, solver), expected) < 2e-5


@pytest.mark.parametrize("name", CONFIGS)
def test_compiled_into_a_graph_equals_plain_for_every_batch(name):
    for method, count in (("ig", 5), ("ig_cfg", 3), ("momentum", 2), ("ig", 5), ("pag", 2)):
        fast, plain = (samples(name, "cuda", method, count=count, compile=fast) for fast in (True, False))
        assert distance(fast, plain) < 1e-5, (method, count)
    low = distance(samples(name, "cuda", "ig", compile=True, precision="bf16"), samples(name, "cuda", "ig"))
    assert 2e-4 < low < 2e-2


def test_a_graph_does_not_write_over_what_it_gave_before():
    net = network("sit", "cuda")
    fast, x, y = compiled(net), torch.randn(3, *net.shape, device="cuda"), torch.arange(3, device="cuda")
    with torch.inference_mode():
        found = [fast(x, torch.full((3,), t, device="cuda"), y).velocity for t in (0.9, 0.6, 0.3, 0.1)]
        for t, velocity in zip((0.9, 0.6, 0.3, 0.1), found, strict=True):
            assert distance(velocity, net(x, torch.full((3,), t, device="cuda"), y).velocity) < 1e-5
    assert not fast.failed


def test_tf32_rounds_products_and_fp32_does_not():
    torch.manual_seed(0)
    config = {**CONFIGS["sit"], "hidden_size": 256}
    net = gb.BACKBONES.create("sit", **config).build().eval()
    for weight in net.parameters():
        if weight.requires_grad and weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.05)
    noise, labels = torch.randn(64, *net.shape), torch.arange(64) % 10
    solver = gb.SOLVERS.create("euler", steps=4)
    plain = gb.sample(net, "none", solver, labels=labels, noise=noise)
    net.to("cuda")
    x, y = noise.cuda(), labels.cuda()
    on = {p: gb.sample(net, "none", solver, labels=y, noise=x, precision=p) for p in ("fp32", "tf32")}
    assert distance(on["fp32"].cpu(), plain) < 1e-5 < distance(on["tf32"].cpu(), plain) < 5e-3


def test_metrics_are_those_of_the_cpu():
    rng = np.random.default_rng(0)
    real, fake = (rng.standard_normal((700, 64)) + shift for shift in (0, 0.1))
    tensors = [torch.from_numpy(x).float() for x in (real, fake)]
    assert precision_recall(*(x.cuda() for x in tensors)) == precision_recall(*tensors)
    on = frechet_distance(*feature_statistics(tensors[0].cuda()), *feature_statistics(tensors[1].cuda()))
    assert on == pytest.approx(frechet_distance(*feature_statistics(tensors[0]), *feature_statistics(tensors[1])))
