"""Training by recipe and source: bit-exact after a kill, keyed draws, sealed checkpoints, every average a file."""

from __future__ import annotations

import gzip
import json
import struct

import numpy as np
import pytest
import torch

import guidance_bench as gb
from guidance_bench.cli.main import main
from guidance_bench.training import trainer as training
from guidance_bench.training.data.dataset import ImageArray
from guidance_bench.training.data.draws import Draws
from guidance_bench.training.execution import Execution
from guidance_bench.training.log import Log
from guidance_bench.training.protocol import make, the_recipe

TINY = {"hidden_size": 16, "depth": 2, "num_heads": 2, "steps": 24, "batch": 16, "warmup": 4, "tap": 1}
OFTEN = Execution(log_every=4, checkpoint_every=5)


@pytest.fixture(scope="module")
def data():
    draw = np.random.default_rng(0)
    return ImageArray("test", draw.integers(0, 256, (40, 8, 8, 1), dtype=np.uint8), np.arange(40) % 3, "abc")


def recipe(**fields):
    return the_recipe("digits_sit_ig", {**TINY, **fields})


def weights(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.flatten().float() for p in network.state_dict().values()])


def stop_at(monkeypatch, step, error):
    real = training.Trainer._take

    def take(self, batch):
        if self.step == step:
            raise error
        return real(self, batch)

    monkeypatch.setattr(training.Trainer, "_take", take)


def test_an_interrupted_training_goes_on_bit_for_bit(tmp_path, data, monkeypatch):
    whole = make(recipe(), data, tmp_path / "whole", "cpu", OFTEN)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_at(patch, 13, KeyboardInterrupt)
        make(recipe(), data, tmp_path / "cut", "cpu", OFTEN)
    place = tmp_path / "cut" / whole.folder.name
    assert [p.name for p in sorted(place.glob("checkpoints/*.pt"))] == ["step_000000005.pt", "step_000000010.pt"]
    resumed = make(recipe(), data, tmp_path / "cut", "cpu", OFTEN)
    assert resumed.facts["sha256"] == whole.facts["sha256"]
    assert resumed.facts["losses"] == whole.facts["losses"]
    assert [step for step, _ in whole.facts["losses"]] == [4, 8, 12, 16, 20, 24]
    assert not (place / "checkpoints").exists()


def test_what_is_finished_is_not_trained_again_and_the_result_loads(tmp_path, data, monkeypatch):
    first = gb.train("digits_sit_ig", data, tmp_path, device="cpu", **TINY)
    stop_at(monkeypatch, 0, AssertionError("trained again"))
    again = gb.train(recipe(), data, tmp_path, device="cpu")
    assert torch.equal(weights(first), weights(again))
    (model,) = tmp_path.rglob("model.safetensors")
    assert torch.equal(weights(gb.load_backbone(model)), weights(first))
    assert first.trained_taps == (1,) and first.shape == (1, 8, 8) and first.num_classes == 3
    assert json.loads((model.parent / "recipe.json").read_text())["data"] == data.name


def test_each_decay_is_a_file_and_the_first_is_the_result(tmp_path, data):
    made = make(recipe(ema=(0.5, 0.9), ema_ramp=False), data, tmp_path, "cpu", OFTEN)
    halves, tenths = (gb.load_backbone(made.folder / f"ema_{decay}.safetensors") for decay in (0.5, 0.9))
    assert torch.equal(weights(halves), weights(gb.load_backbone(made.model)))
    alone = make(recipe(ema=(0.9,), ema_ramp=False), data, tmp_path, "cpu", OFTEN)
    assert torch.equal(weights(gb.load_backbone(alone.model)), weights(tenths))
    assert not torch.equal(weights(halves), weights(tenths))


def test_each_epoch_passes_through_all_samples_and_draws_anew(data):
    draws = Draws(data, seed=3, size=16, label_drop=0.5, times="uniform", flip=False)
    rows = np.concatenate([draws.rows(step)[1] for step in range(5)])  # two epochs of 40
    assert sorted(rows[:40]) == sorted(rows[40:]) == list(range(40)) and list(rows[:40]) != list(rows[40:])
    first, second = draws.batch(0), draws.batch(0, slice(8, 16))
    for name in ("x", "y", "t", "noise"):
        assert torch.equal(getattr(first, name)[8:], getattr(second, name))  # no draw hangs on the part
    at = list(rows[40:]).index(rows[0])
    later = draws.batch((40 + at) // 16)
    place = (40 + at) % 16
    assert torch.equal(later.x[place], first.x[0]) and not torch.equal(later.noise[place], first.noise[0])
    assert not torch.equal(Draws(data, 4, 16, 0.5, "uniform", False).batch(0).noise, first.noise)


def test_times_labels_and_flips_follow_their_laws(data):
    many = [Draws(data, 0, 400, 0.25, times, True).batch(step) for times in ("uniform",) for step in range(10)]
    t = torch.cat([b.t for b in many])
    assert abs(t.mean() - 0.5) < 0.02 and abs(t.std() - 12**-0.5) < 0.02
    assert abs(torch.cat([b.y == 3 for b in many]).float().mean() - 0.25) < 0.03
    logs = torch.cat([Draws(data, 0, 400, 0.0, "lognormal", False).batch(s).t for s in range(10)]).logit()
    assert abs(logs.mean()) < 0.06 and abs(logs.std() - 1) < 0.05
    strata = Draws(data, 0, 8, 0.0, "stratified", False).batch(0).t
    assert (strata * 8).floor().tolist() == list(range(8))
    draws, plain = Draws(data, 0, 40, 0.0, "uniform", True), Draws(data, 0, 40, 0.0, "uniform", False)
    a, b = draws.batch(0).x, plain.batch(0).x
    mirrored = (a == b.flip(-1)).flatten(1).all(1)
    assert torch.equal(mirrored, ~(a == b).flatten(1).all(1)) and 10 < mirrored.sum() < 30


def test_a_damaged_checkpoint_is_named_with_the_way_back(tmp_path, data, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_at(patch, 13, KeyboardInterrupt)
        make(recipe(), data, tmp_path, "cpu", OFTEN)
    file = next(tmp_path.rglob("step_000000010.pt"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(gb.UserError, match=r"step_000000010\.pt.*damaged.*go on from step 5"):
        make(recipe(), data, tmp_path, "cpu", OFTEN)
    file.unlink()
    file.with_suffix(".json").unlink()
    whole = make(recipe(), data, tmp_path / "whole", "cpu", OFTEN)
    assert make(recipe(), data, tmp_path, "cpu", OFTEN).facts["sha256"] == whole.facts["sha256"]


def test_a_loss_that_is_not_finite_stops_with_the_step_and_advice(tmp_path, data, monkeypatch):
    real = training.Trainer._losses

    def losses(self, x, *rest):
        return real(self, x * torch.nan if self.step == 13 else x, *rest)

    monkeypatch.setattr(training.Trainer, "_losses", losses)
    with pytest.raises(gb.UserError, match=r"loss of step 14 is not finite; .*of step 10 in .*learning_rate"):
        make(recipe(), data, tmp_path, "cpu", OFTEN)
    assert max(row["step"] for row in Log(next(tmp_path.rglob("log.csv"))).rows()) == 12


def test_a_batch_in_parts_trains_the_same(tmp_path, data):
    one = make(recipe(), data, tmp_path / "one", "cpu", OFTEN)
    four = make(recipe(), data, tmp_path / "four", "cpu", Execution(log_every=4, accumulate=4))
    assert one.folder.name == four.folder.name
    np.testing.assert_allclose(one.facts["losses"], four.facts["losses"], rtol=2e-5)
    with pytest.raises(gb.UserError, match=r"batch=16 cannot be shared .*accumulate=3"):
        make(recipe(), data, tmp_path / "x", "cpu", Execution(accumulate=3))


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


@pytest.mark.parametrize("below", ["", "FashionMNIST/raw"])
@pytest.mark.parametrize("packed", [True, False])
def test_fashion_mnist_is_read_from_debians_and_torchvisions_folder(tmp_path, below, packed):
    folder = tmp_path / below
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = np.random.default_rng(1).integers(0, 256, (12, 28, 28)), np.arange(12) % 10
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        content = idx(array)
        file = folder / f"train-{name}-ubyte{'.gz' if packed else ''}"
        file.write_bytes(gzip.compress(content) if packed else content)
    data = gb.SOURCES.create("fashion_mnist", path=str(tmp_path)).load()
    assert np.array_equal(data.images[..., 0], images) and data.labels.tolist() == labels.tolist()
    assert data.shape == (1, 28, 28) and data.classes[9] == "ankle boot"
    wide = gb.SOURCES.create("fashion_mnist", path=str(tmp_path), size=32).load()
    assert wide.shape == (1, 32, 32) and np.array_equal(wide.images[:, 2:-2, 2:-2, 0], images)
    file.write_bytes(gzip.compress(content[:-1]) if packed else content[:-1])
    with pytest.raises(gb.UserError, match=r"labels-idx1-ubyte.*cut short"):
        gb.SOURCES.create("fashion_mnist", path=str(tmp_path)).load()


def test_what_is_not_there_says_which_file_goes_where(tmp_path):
    with pytest.raises(gb.UserError, match=r"train-images-idx3-ubyte\.gz.*apt-get install dataset-fashion-mnist"):
        gb.train("fashion_sit_ig", f"fashion_mnist:{tmp_path}", tmp_path)


def test_the_command_trains_and_its_mistakes_are_one_line(tmp_path, capsys):
    words = ["train", "recipe=digits_sit_ig", "data=digits", f"output={tmp_path}", "log_every=2", "device=cpu"]
    small = [f"recipe.{name}={value}" for name, value in {**TINY, "steps": 4}.items()]
    assert main([*words, *small, "recipe.ema=[0.9,0.99]"]) == 0
    shown = capsys.readouterr().out
    assert "network:" in shown and len(list(tmp_path.rglob("ema_0.99.safetensors"))) == 1
    for wrong, said in (
        ("recipe.stepz=3", "did you mean 'steps'"),
        ("data.size=3", "has no parameter 'size'"),
        ("output.x=3", "unknown option 'output.x'"),
        ("recipe.steps=-1", "outside"),
        ("nothing", "is no NAME=VALUE"),
        ("acumulate=2", "did you mean 'accumulate'"),
    ):
        assert main([*words, wrong]) == 2
        assert said in capsys.readouterr().err
    assert main(["train", "recipe=nope", "data=digits"]) == 2
    assert "unknown recipe 'nope'" in capsys.readouterr().err
    for data, said in (("digit", "did you mean 'digits'"), ("digits:here", "takes no path"), ("folder:", "no path")):
        assert main(["train", "recipe=digits_sit_ig", f"data={data}"]) == 2
        assert said in capsys.readouterr().err


class Shaped(ImageArray):
    """Latents of ImageNet, but for the latents."""

    def __init__(self, shape):
        self.shape, self.classes, self.name = shape, range(1000), "latents"


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("sit_s_2", 32_963_360), ("sit_b_2", 130_512_416), ("sit_l_2", 458_102_816), ("sit_xl_2", 675_129_632),
        ("sit_b_2_ig", 131_693_600), ("sit_l_2_ig", 460_202_016), ("sit_xl_2_ig", 677_786_144),
        ("lightningdit_b_1", 130_556_192), ("lightningdit_b_1_ig", 131_762_752),
        ("lightningdit_xl_1", 675_256_736), ("lightningdit_xl_1_ig", 677_951_296),
    ],
)  # fmt: skip
def test_official_recipes_build_networks_of_the_official_size(name, count):
    shape = (4, 32, 32) if name.startswith("sit") else (32, 16, 16)
    with torch.device("meta"):
        network = gb.RECIPES.create(name).network(Shaped(shape)).build()
    assert sum(p.numel() for p in network.parameters()) == count
