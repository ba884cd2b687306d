"""Processes, precision, memory: what changes the time of a training changes its result by no more than rounding."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import training_record
from commands import run, start

import guidance_bench as gb
from guidance_bench.cli.main import main
from guidance_bench.storage.files import read_sealed
from guidance_bench.training import trainer as training
from guidance_bench.training.data.dataset import ImageArray
from guidance_bench.training.execution import Execution
from guidance_bench.training.log import Log
from guidance_bench.training.protocol import make, the_recipe, untrained

TINY = {"hidden_size": 16, "depth": 2, "num_heads": 2, "steps": 8, "batch": 16, "warmup": 4, "tap": 1}


@pytest.fixture(scope="module")
def data():
    draw = np.random.default_rng(0)
    return ImageArray("test", draw.integers(0, 256, (40, 8, 8, 1), dtype=np.uint8), np.arange(40) % 3, "abc")


def recipe(**fields):
    return the_recipe("digits_sit_ig", {**TINY, **fields})


def losses(folder):
    return np.array([[row["loss"], row["final"], row["intermediate"]] for row in Log(folder / "log.csv").rows()])


@pytest.mark.slow
def test_one_and_two_processes_agree(tmp_path):
    words = [f"recipe.{name}={value}" for name, value in TINY.items()]
    words = ["train", "recipe=digits_sit_ig", "data=digits", *words, "log_every=1", "device=cpu"]
    for count in (1, 2):
        log = run([*words, f"output={tmp_path / str(count)}"], tmp_path / f"log{count}", processes=count)
        assert log.text().count("network:") == 1
    one, two = (next((tmp_path / str(count) / "models").iterdir()) for count in (1, 2))
    assert one.name == two.name
    np.testing.assert_allclose(losses(two), losses(one), rtol=1e-4)
    a, b = (gb.load_backbone(place / "model.safetensors").state_dict() for place in (one, two))
    assert all(torch.allclose(a[name], b[name], rtol=1e-3, atol=1e-4) for name in a)


def test_activations_computed_again_change_no_loss(tmp_path, data):
    plain = make(recipe(), data, tmp_path / "plain", "cpu", Execution(log_every=1))
    again = make(recipe(), data, tmp_path / "again", "cpu", Execution(log_every=1, checkpointing=True))
    np.testing.assert_allclose(losses(again.folder), losses(plain.folder), rtol=1e-5)
    a, b = (gb.load_backbone(made.model).state_dict() for made in (plain, again))
    assert list(a) == list(b)


@pytest.mark.slow
def test_a_compiled_network_trains_the_same(tmp_path, data):
    plain = make(recipe(steps=3), data, tmp_path / "plain", "cpu", Execution(log_every=1))
    fast = make(recipe(steps=3), data, tmp_path / "fast", "cpu", Execution(log_every=1, compile=True))
    np.testing.assert_allclose(losses(fast.folder), losses(plain.folder), rtol=1e-4)


def test_bf16_is_another_training_close_to_the_first(tmp_path, data):
    exact = make(recipe(), data, tmp_path, "cpu", Execution(log_every=1))
    half = make(recipe(precision="bf16"), data, tmp_path, "cpu", Execution(log_every=1))
    assert exact.folder != half.folder
    difference = np.abs(losses(half.folder) / losses(exact.folder) - 1)
    assert 1e-6 < difference.max() < 0.05
    assert {v.dtype for v in gb.load_backbone(half.model).state_dict().values()} == {torch.float32}
    with pytest.raises(gb.UserError, match=r"fp16.*needs a CUDA device"):
        make(recipe(precision="fp16"), data, tmp_path, "cpu", Execution())


def test_clipping_bounds_the_gradient_and_the_log_tells_the_whole_norm(tmp_path, data):
    def taken(clip):
        made = recipe(clip=clip)
        trainer = training.Trainer(made, data, untrained(made, data), tmp_path, "x", torch.device("cpu"), Execution(1))
        _, norm = trainer._take(trainer.batches.batch(0))
        gradients = [p.grad for p in trainer.network.parameters() if p.grad is not None]
        return float(norm), float(torch.cat([g.flatten() for g in gradients]).norm())

    whole, left = taken(1e9)
    assert left == pytest.approx(whole, rel=1e-5)
    assert taken(whole / 2) == pytest.approx((whole, whole / 2), rel=1e-4)


def test_out_of_memory_names_the_knobs(tmp_path, data, monkeypatch):
    def take(self, batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(training.Trainer, "_take", take)
    with pytest.raises(gb.UserError, match=r"out of memory: give accumulate=2, checkpointing=true, recipe\.precision"):
        make(recipe(), data, tmp_path, "cpu", Execution())


def test_a_network_that_does_not_fit_names_the_knobs_too(tmp_path, data):
    with pytest.raises(gb.UserError, match=r"out of memory: give accumulate=2"):
        make(recipe(hidden_size=4_000_000), data, tmp_path, "cpu", Execution())


def test_a_plug_in_recipe_and_source_go_through_the_same_door(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\n"
        "import guidance_bench as gb\n"
        "from guidance_bench.training.data.dataset import ImageArray\n\n"
        "@gb.register_source('stripes')\n"
        "class Stripes(gb.Source):\n"
        "    count: int = 12\n\n"
        "    def load(self):\n"
        "        images = np.zeros((self.count, 8, 8, 1), np.uint8)\n"
        "        return ImageArray('stripes', images, np.arange(self.count) % 2, ['a', 'b'])\n\n"
        "@gb.register_recipe('mine')\n"
        "class Mine(gb.TrainingRecipe):\n"
        "    hidden_size: int = 16\n"
        "    depth: int = 2\n"
        "    num_heads: int = 2\n"
        "    steps: int = 2\n"
        "    batch: int = 4\n"
    )
    words = ["train", f"recipe={file}", f"output={tmp_path}", "device=cpu", "data=stripes", "data.count=6"]
    assert main([*words, "recipe.tap=1"]) == 0
    (model,) = tmp_path.rglob("model.safetensors")
    assert gb.load_backbone(model).trained_taps == (1,)
    assert '"plugin_sha256"' in (model.parent / "recipe.json").read_text()


def test_recipes_and_sources_are_listed(capsys):
    assert main(["list", "recipes", "sources"]) == 0
    shown = capsys.readouterr().out
    for name in ("sit_xl_2_ig", "lightningdit_xl_1_ig", "digits_sit_weak", "fashion_mnist", "latents"):
        assert f"  {name} " in shown
    assert "learning_rate=0.0002" in shown and "arXiv 2512.24176" in shown


@pytest.mark.slow
def test_two_processes_stop_together_where_the_loss_is_not_finite(tmp_path):
    words = [f"recipe.{name}={value}" for name, value in {**TINY, "steps": 60, "learning_rate": 1e30}.items()]
    words = ["train", "recipe=digits_sit_ig", "data=digits", *words, "log_every=5", "device=cpu", f"output={tmp_path}"]
    command = start(words, tmp_path / "log", processes=2)
    assert command.wait(60) == [2, 2]
    assert "is not finite" in command.text() and "Traceback" not in command.text()


@pytest.mark.slow
def test_a_training_killed_by_the_system_goes_on_bit_for_bit(tmp_path):
    words = [f"recipe.{name}={value}" for name, value in {**TINY, "steps": 200}.items()]
    words = ["train", "recipe=digits_sit_ig", "data=digits", *words, "checkpoint_every=20", "device=cpu"]
    run([*words, f"output={tmp_path / 'whole'}"], tmp_path / "log")
    killed = start([*words, f"output={tmp_path / 'cut'}"], tmp_path / "log2")
    killed.wait_for(lambda: list(tmp_path.glob("cut/models/*/checkpoints/step_000000040.json")))
    killed.kill()
    assert killed.wait() == [-9] and not list(tmp_path.glob("cut/models/*/training.json"))
    run([*words, f"output={tmp_path / 'cut'}"], tmp_path / "log3")
    whole, cut = (
        json.loads(next(tmp_path.glob(f"{name}/models/*/training.json")).read_text()) for name in ("whole", "cut")
    )
    assert cut["sha256"] == whole["sha256"] and cut["losses"] == whole["losses"]
    assert not list(tmp_path.glob("cut/models/*/checkpoints/*"))


def test_weak_partners_are_weaker():
    for name, strong, what in (
        ("sit_xl_2_weak_short", "sit_xl_2", "steps"),
        ("sit_xl_2_weak_shallow", "sit_xl_2", "depth"),
        ("sit_xl_2_weak_narrow", "sit_xl_2", "hidden_size"),
        ("sit_b_2_weak_short", "sit_b_2", "steps"),
        ("lightningdit_b_1_weak", "lightningdit_xl_1", "hidden_size"),
        ("digits_sit_weak", "digits_sit_ig", "depth"),
        ("fashion_sit_weak", "fashion_sit_ig", "hidden_size"),
    ):
        partner, main_recipe = gb.RECIPES.create(name), gb.RECIPES.create(strong)
        assert getattr(partner, what) < getattr(main_recipe, what) and partner.steps < main_recipe.steps, name
        assert partner.tap is None


@pytest.mark.slow
def test_real_fashion_mnist_is_learned_as_recorded(tmp_path):
    """Ten steps to 1e-5, all forty to 1e-3.

    On the record's machine the curves of its newest and its oldest instructions part by 2e-7, a rounding of float32;
    another library sums in another order, and what it rounds otherwise grows from step to step.
    """
    try:
        real = gb.SOURCES.create("fashion_mnist").load()
    except gb.UserError as error:
        pytest.skip(str(error))
    assert real.images.shape == (60_000, 28, 28, 1)
    record = read_sealed(training_record.RECORD, training_record.KEYS)
    found = training_record.train(tmp_path)
    assert found["recipe"] == record["recipe"]  # the data's hash is in it
    steps, recorded = np.array(record["losses"]).T
    assert steps.tolist() == [row[0] for row in found["losses"]] == list(range(1, 41))
    fewer = np.array(record["losses_fewer_instructions"])[:, 1]
    assert np.abs(fewer / recorded - 1).max() < 1e-6
    losses = np.array(found["losses"])[:, 1]
    np.testing.assert_allclose(losses[:10], recorded[:10], rtol=1e-5)
    np.testing.assert_allclose(losses, recorded, rtol=1e-3)
    assert losses[-10:].mean() < 0.75 * losses[:10].mean()
