"""Training: what is interrupted goes on exactly, what is finished is not done again, what is damaged is named."""

from __future__ import annotations

import pytest
import torch

import guidance_bench as gb
from guidance_bench.networks.dataset import Dataset
from guidance_bench.training import for_benchmarks
from guidance_bench.training.ema import EMA
from guidance_bench.training.for_benchmarks import Recipe, train
from guidance_bench.training.trainer import Trainer

CPU = torch.device("cpu")
CONFIG = {
    "input_size": 4,
    "patch_size": 2,
    "in_channels": 1,
    "hidden_size": 8,
    "depth": 2,
    "num_heads": 2,
    "num_classes": 3,
    "tap": 1,
}
RECIPE = Recipe("sit", CONFIG, "test", steps=12, batch=8, learning_rate=1e-2, seed=4, warmup=3)


@pytest.fixture
def data() -> Dataset:
    draw = torch.Generator().manual_seed(0)
    return Dataset("test", torch.randn(20, 1, 4, 4, generator=draw), torch.randint(0, 3, (20,), generator=draw))


def weights(network: gb.Backbone) -> torch.Tensor:
    return torch.cat([p.flatten() for p in network.state_dict().values()])


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path, data, monkeypatch):
    whole, facts = train(RECIPE, data, tmp_path / "whole", CPU, "t")

    class Killed(Exception):
        pass

    real = Trainer._take

    def killed_at_seven(self, batch):
        if self.step == 7:
            raise Killed
        return real(self, batch)

    monkeypatch.setattr(for_benchmarks, "SAVE_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(Trainer, "_take", killed_at_seven)
    with pytest.raises(Killed):
        train(RECIPE, data, tmp_path / "cut", CPU, "t")
    monkeypatch.setattr(Trainer, "_take", real)
    resumed, again = train(RECIPE, data, tmp_path / "cut", CPU, "t")
    assert torch.equal(weights(resumed), weights(whole))
    assert again["sha256"] == facts["sha256"]
    assert not list((tmp_path / "cut").rglob("checkpoints"))


def test_a_finished_training_is_not_done_again(tmp_path, data, monkeypatch):
    first, _ = train(RECIPE, data, tmp_path, CPU, "t")
    monkeypatch.setattr(Trainer, "_take", None)
    second, _ = train(RECIPE, data, tmp_path, CPU, "t")
    assert torch.equal(weights(first), weights(second))


def test_the_loss_falls_and_the_seed_matters(tmp_path, data):
    longer = Recipe(**{**RECIPE.as_dict(), "steps": 150, "batch": 64})
    _, facts = train(longer, data, tmp_path, CPU, "t")
    # A velocity of zero would lose 1.5 times the target's variance, E (eps - x0)^2 = 2.
    assert [step for step, _ in facts["losses"]] == [50, 100, 150]
    assert facts["losses"][-1][1] < 0.75 * 1.5 * 2
    other = Recipe(**{**RECIPE.as_dict(), "seed": 5})
    assert other.name != RECIPE.name
    assert train(other, data, tmp_path, CPU, "t")[1]["sha256"] != facts["sha256"]


def test_damaged_files_are_named(tmp_path, data):
    train(RECIPE, data, tmp_path, CPU, "t")
    model = tmp_path / RECIPE.name / "model.safetensors"
    model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(gb.UserError, match=r"model\.safetensors.*does not fit"):
        train(RECIPE, data, tmp_path, CPU, "t")
    other = tmp_path / "other" / RECIPE.name / "checkpoints"
    other.mkdir(parents=True)
    for ending in ("pt", "json"):
        (other / f"step_000000005.{ending}").write_bytes(b"not a checkpoint")
    with pytest.raises(gb.UserError, match=r"step_000000005\.pt.*is damaged: delete it.*to train anew"):
        train(RECIPE, data, tmp_path / "other", CPU, "t")


def test_the_weights_kept_are_the_averaged_ones():
    network = gb.BACKBONES.create("sit", **CONFIG).build()
    average = EMA(network, 0.9)
    before = weights(average.network).clone()
    with torch.no_grad():
        for p in network.parameters():
            p.add_(1.0)
    average.update(network, step=0)  # the decay begins at 1/10
    torch.testing.assert_close(weights(average.network), before + 0.9)
    average.update(network, step=10_000)
    torch.testing.assert_close(weights(average.network), before + 0.91)


def test_the_initial_weights_are_soon_forgotten():
    """After five steps they weigh .0005, the weights after each step .0045, .0225, .082, .247 and .643."""
    network = gb.BACKBONES.create("sit", **CONFIG).build()
    average = EMA(network, 0.9999)
    weights = []
    for impulse in range(6):
        with torch.no_grad():
            for p in average.network.parameters():
                p.fill_(float(impulse == 0))
            for step in range(5):
                for p in network.parameters():
                    p.fill_(float(impulse == step + 1))
                average.update(network, step)
        weights.append(float(next(p for p in average.network.parameters() if p.is_floating_point()).flatten()[0]))
    assert weights == pytest.approx([0.0005, 0.0045, 0.0225, 0.0824, 0.2473, 0.6429], rel=2e-2)
