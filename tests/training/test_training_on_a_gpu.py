"""Training where only a CUDA GPU can show it: precision, the compiler, and going on bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import guidance_bench as gb
from guidance_bench.training.data.dataset import ImageArray
from guidance_bench.training.execution import Execution
from guidance_bench.training.log import Log
from guidance_bench.training.protocol import make, the_recipe
from guidance_bench.training.trainer import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

SMALL = {"hidden_size": 64, "depth": 3, "num_heads": 4, "steps": 30, "batch": 32, "warmup": 4, "tap": 1}


@pytest.fixture
def data():
    draw = np.random.default_rng(0)
    return ImageArray("test", draw.integers(0, 256, (80, 8, 8, 1), dtype=np.uint8), np.arange(80) % 10, "0123456789")


def losses(folder):
    return np.array([row["loss"] for row in Log(folder / "log.csv").rows()])


def trained(data, place, device="cuda", execution=None, **fields):
    return make(
        the_recipe("digits_sit_ig", {**SMALL, **fields}), data, place, device, execution or Execution(log_every=1)
    )


def test_losses_are_those_of_the_cpu(tmp_path, data):
    on, off = trained(data, tmp_path / "cuda"), trained(data, tmp_path / "cpu", "cpu")
    np.testing.assert_allclose(losses(on.folder)[:10], losses(off.folder)[:10], rtol=1e-5)
    np.testing.assert_allclose(losses(on.folder), losses(off.folder), rtol=1e-3)


@pytest.mark.parametrize("precision", ["tf32", "bf16", "fp16"])
def test_low_precision_follows_the_same_curve(tmp_path, data, precision):
    low, plain = trained(data, tmp_path / "low", precision=precision), trained(data, tmp_path / "plain")
    np.testing.assert_allclose(losses(low.folder), losses(plain.folder), rtol=3e-2)
    assert not np.array_equal(losses(low.folder), losses(plain.folder))


def test_a_compiled_step_is_the_same_step(tmp_path, data):
    fast = trained(data, tmp_path / "fast", execution=Execution(log_every=1, compile=True))
    np.testing.assert_allclose(losses(fast.folder), losses(trained(data, tmp_path / "plain").folder), rtol=1e-3)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_what_is_interrupted_goes_on_bit_for_bit(tmp_path, data, precision, monkeypatch):
    whole = trained(data, tmp_path / "whole", precision=precision)
    real = Trainer._take

    def killed(self, batch):
        if self.step == 17:
            raise KeyboardInterrupt
        return real(self, batch)

    saving = Execution(log_every=1, checkpoint_every=5)
    monkeypatch.setattr(Trainer, "_take", killed)
    with pytest.raises(KeyboardInterrupt):
        trained(data, tmp_path / "cut", precision=precision, execution=saving)
    monkeypatch.setattr(Trainer, "_take", real)
    cut = trained(data, tmp_path / "cut", precision=precision, execution=saving)
    a, b = (gb.load_backbone(made.model).state_dict() for made in (whole, cut))
    assert all(torch.equal(a[name], b[name]) for name in a)
