"""fp32, tf32, bf16, and the compiler: what each changes, and what it must not."""

from __future__ import annotations

import pytest
import torch

import guidance_bench as gb
from guidance_bench.networks import compiled as compiling
from guidance_bench.networks.compiled import Compiled, compiled
from guidance_bench.networks.precision import in_precision, products

CONFIGS = {
    "sit": {"hidden_size": 64, "depth": 3, "num_heads": 4, "input_size": 8, "num_classes": 10, "tap": 2},
    "lightningdit": {
        **{"hidden_size": 64, "depth": 3, "num_heads": 4, "input_size": 4, "in_channels": 4, "num_classes": 10},
        **{"tap": 2, "qk_norm": True},
    },
}


def network(name: str) -> gb.Backbone:
    torch.manual_seed(0)
    made = gb.BACKBONES.create(name, **CONFIGS[name]).build()
    for weight in made.parameters():
        if weight.requires_grad and weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.1)
    return made.eval()


def samples(net: gb.Backbone, method: str = "ig", count: int = 5, **options) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(count, *net.shape, generator=generator)
    solver = gb.SOLVERS.create("euler", steps=6)
    return gb.sample(net, method, solver, labels=torch.arange(count), noise=noise, **options)


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("name", CONFIGS)
def test_bf16_rounds_and_fp32_does_not(name):
    net = network(name)
    plain = samples(net)
    assert torch.equal(samples(net, precision="fp32"), plain)
    assert torch.equal(samples(net, precision="tf32"), plain)  # a CPU has no TF32
    assert 2e-4 < distance(samples(net, precision="bf16"), plain) < 1e-2  # half a unit of bfloat16 is 2e-3
    assert all(weight.dtype == torch.float32 for weight in net.parameters())


def test_parts_that_stay_in_float32():
    half = in_precision(network("lightningdit"), "bf16")
    kept = {n.split(".")[0] for n, w in half.state_dict().items() if w.dtype == torch.float32}
    assert kept == {"t_embedder", "feat_rope"}
    assert in_precision(half, "bf16") is half
    # the time embedding is that of the float32 network, not one of rounded weights
    t = torch.rand(4)
    assert torch.equal(half.t_embedder(t), network("lightningdit").t_embedder(t))


def test_a_network_in_float32_is_not_copied_for_it():
    net = network("sit")
    assert in_precision(net, "fp32") is net and in_precision(net, "tf32") is net
    again = in_precision(in_precision(net, "bf16"), "fp32")
    assert {w.dtype for w in again.parameters()} == {torch.float32}


def test_tf32_is_on_for_tf32_alone():
    seen = []

    class Looks(type(network("sit"))):
        def predict(self, *arguments, **named):
            seen.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))
            return super().predict(*arguments, **named)

    net = network("sit")
    net.__class__ = Looks
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        for precision in ("fp32", "tf32", "bf16", None):
            samples(net, precision=precision)
            assert set(seen) == {(precision == "tf32",) * 2}
            assert torch.backends.cuda.matmul.allow_tf32
            seen.clear()
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False
    with products("tf32"):
        assert torch.backends.cudnn.allow_tf32


def test_an_unknown_precision_is_refused():
    with pytest.raises(gb.UserError, match=r"precision='fp16' is not one of fp32, tf32, bf16"):
        samples(network("sit"), precision="fp16")


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_compiled_equals_plain_for_every_batch(name):
    net = network(name)
    for method, count in (("ig", 5), ("ig_cfg", 3), ("ig", 1), ("pag", 2)):
        difference = distance(samples(net, method, count, compile=True), samples(net, method, count))
        assert difference < 1e-5, (method, count)
    assert not compiled(net).failed
    assert 2e-4 < distance(samples(net, compile=True, precision="bf16"), samples(net)) < 1e-2


def test_a_compiler_that_fails_is_said_once_and_the_samples_are_plain(monkeypatch, capfd):
    def broken(*arguments, **named):
        def call(*arguments):
            raise torch._dynamo.exc.BackendCompilerFailed(broken, RuntimeError("no C++ compiler"), None)

        return call

    monkeypatch.setattr(compiling.torch, "compile", broken)
    net = network("sit")
    assert torch.equal(samples(net, compile=True), samples(net))
    said = capfd.readouterr().err
    assert said.count("compile=true: the compiler cannot be used here") == 1 and "no C++ compiler" in said


def test_a_compiled_network_tells_the_same_of_itself():
    net = network("sit")
    fast = compiled(net)
    assert isinstance(fast, Compiled) and compiled(net) is fast and compiled(fast) is fast
    assert (fast.cost, fast.shape, fast.trained_taps, fast.device) == (net.cost, net.shape, (2,), net.device)
    assert in_precision(fast, "fp32") is fast
