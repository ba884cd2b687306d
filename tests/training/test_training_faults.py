"""What a training draws and what it keeps: order, times, noise and labels of every step, and the averaged weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from guidance_bench.networks.checkpoints import load_backbone
from guidance_bench.networks.dataset import Dataset
from guidance_bench.training import trainer as training
from guidance_bench.training.for_benchmarks import Recipe, train

CPU = torch.device("cpu")
CONFIG = {
    "input_size": 4, "patch_size": 2, "in_channels": 1, "hidden_size": 8, "depth": 2, "num_heads": 2, "num_classes": 3,
}  # fmt: skip
RECIPE = Recipe("sit", CONFIG, "test", steps=12, batch=8, learning_rate=1e-2, seed=4, warmup=3)
COUNT = 40


@pytest.fixture
def data() -> Dataset:
    """Image i is filled with the number i, so that a batch tells its rows; its class is i modulo 3."""
    x = torch.arange(COUNT, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 1, 4, 4).contiguous()
    return Dataset("test", x, torch.arange(COUNT) % 3)


@pytest.fixture
def steps(monkeypatch):
    """What every step was given, and the weights it began with."""
    seen = []
    real = training.flow_matching_loss

    def record(backbone, x0, y, t, noise, **options):
        weights = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
        seen.append({"rows": x0[:, 0, 0, 0].long(), "y": y, "t": t, "noise": noise, "weights": weights})
        return real(backbone, x0 / COUNT, y, t, noise, **options)

    monkeypatch.setattr(training, "flow_matching_loss", record)
    return seen


def test_the_data_come_in_no_order_and_all_of_them(tmp_path, data, steps):
    train(replace(RECIPE, steps=60), data, tmp_path, CPU, "t")
    rows = torch.stack([step["rows"] for step in steps])
    assert set(rows.flatten().tolist()) == set(range(COUNT))
    assert len(rows.unique(dim=0)) == len(rows)  # no batch twice
    forward = ((rows[:, 1:] - rows[:, :-1]) > 0).float().mean()
    assert 0.4 < float(forward) < 0.6  # as often up as down
    counts = rows.flatten().bincount(minlength=COUNT).float()
    assert float(counts.std()) < 2.5 * (60 * 8 / COUNT) ** 0.5  # and none much more often than another


def test_times_and_noise_are_drawn_anew_at_every_step(tmp_path, data, steps):
    train(replace(RECIPE, steps=60), data, tmp_path, CPU, "t")
    t = torch.cat([step["t"] for step in steps])
    assert 0 <= float(t.min()) < 0.02 and 0.98 < float(t.max()) <= 1 and len(t.unique()) == len(t)
    quantiles = torch.quantile(t, torch.tensor([0.25, 0.5, 0.75]))
    torch.testing.assert_close(quantiles, torch.tensor([0.25, 0.5, 0.75]), atol=0.04, rtol=0)
    noise = torch.cat([step["noise"] for step in steps])
    assert len(noise.flatten(1).unique(dim=0)) == len(noise)
    assert abs(float(noise.mean())) < 0.05 and abs(float(noise.std()) - 1) < 0.05


def test_labels_belong_to_their_images_and_some_are_dropped(tmp_path, data, steps):
    train(replace(RECIPE, steps=100, label_drop=0.25), data, tmp_path, CPU, "t")
    rows, labels = (torch.cat([step[k] for step in steps]) for k in ("rows", "y"))
    dropped = labels == 3
    assert torch.equal(labels[~dropped], rows[~dropped] % 3)
    assert 0.2 < float(dropped.float().mean()) < 0.3


def test_every_draw_hangs_on_the_seed(tmp_path, data, steps):
    train(RECIPE, data, tmp_path / "a", CPU, "t")
    first = list(steps)
    steps.clear()
    train(replace(RECIPE, seed=5), data, tmp_path / "b", CPU, "t")
    for key in ("rows", "t", "noise"):
        assert not any(torch.equal(a[key], b[key]) for a, b in zip(first, steps, strict=True))
    assert not torch.equal(first[0]["weights"]["x_embedder.proj.weight"], steps[0]["weights"]["x_embedder.proj.weight"])


def test_the_kept_weights_are_the_average_of_those_of_all_steps(tmp_path, data, steps):
    """Replayed from the definition: average <- d average + (1 - d) weights, d = min(ema, (1 + step) / (10 + step))."""
    last, _ = train(replace(RECIPE, ema=0.0), data, tmp_path / "raw", CPU, "t")
    steps.clear()
    recipe = replace(RECIPE, ema=0.6)
    kept, _ = train(recipe, data, tmp_path / "kept", CPU, "t")
    trained = [step["weights"] for step in steps[1:]] + [last.state_dict()]
    average = dict(steps[0]["weights"])
    for step, weights in enumerate(trained):
        decay = min(0.6, (1 + step) / (10 + step))
        average = {name: decay * average[name] + (1 - decay) * weights[name] for name in average}
    found = load_backbone(tmp_path / "kept" / recipe.name / "model.safetensors").state_dict()
    for name, tensor in kept.state_dict().items():
        assert torch.equal(found[name], tensor)
        torch.testing.assert_close(tensor, average[name], atol=1e-6, rtol=1e-5)
    moved = [name for name in average if not torch.allclose(average[name], trained[-1][name], atol=1e-4)]
    assert len(moved) > 10  # the average is another network than the last
