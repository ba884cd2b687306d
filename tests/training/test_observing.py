"""What a training shows while it runs: TensorBoard read back, weights kept on the way, samples and their distance."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image

import guidance_bench as gb
from guidance_bench.evaluation.training_samples import TrainingSamples, cells
from guidance_bench.training.data.dataset import ImageArray
from guidance_bench.training.execution import Execution
from guidance_bench.training.log import Log
from guidance_bench.training.protocol import make, the_recipe
from guidance_bench.training.tracking import Tracking
from guidance_bench.training.trainer import Trainer

TINY = {"hidden_size": 16, "depth": 2, "num_heads": 2, "steps": 8, "batch": 16, "warmup": 4, "tap": 1}


@pytest.fixture(scope="module")
def data():
    draw = np.random.default_rng(0)
    return ImageArray("test", draw.integers(0, 256, (300, 8, 8, 1), dtype=np.uint8), np.arange(300) % 3, "abc")


def recipe(**fields):
    return the_recipe("digits_sit_ig", {**TINY, **fields})


def test_tensorboard_holds_what_the_log_holds(tmp_path, data):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    made = make(recipe(), data, tmp_path, "cpu", Execution(log_every=2, tracker="tensorboard"))
    (file,) = (made.folder / "tracking").glob("events*")
    board = events.EventAccumulator(str(file)).Reload()
    rows = Log(made.folder / "log.csv").rows()
    for name in ("loss", "grad_norm", "learning_rate", "images_per_second"):
        scalars = board.Scalars(name)
        assert [s.step for s in scalars] == [2, 4, 6, 8]
        np.testing.assert_allclose([s.value for s in scalars], [row[name] for row in rows], rtol=1e-6)


def wandb_rows(file: Path) -> list[dict[str, float]]:
    """History of an offline W&B file: LevelDB's log of protobuf records behind seven bytes."""
    from wandb.proto import wandb_internal_pb2

    content, place, waiting, rows = file.read_bytes(), 7, b"", []
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:  # a block's end is filled up
            place += 32768 - place % 32768
            continue
        length, kind = struct.unpack_from("<HB", content, place + 4)
        waiting += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = wandb_internal_pb2.Record.FromString(waiting)
            waiting = b""
            if record.WhichOneof("record_type") == "history":
                rows.append({"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in record.history.item})
    return rows


@pytest.mark.slow
def test_wandbs_file_holds_what_the_log_holds(tmp_path, data, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    made = make(recipe(), data, tmp_path, "cpu", Execution(log_every=2, tracker="wandb"))
    (file,) = (made.folder / "wandb").glob("offline-run-*/*.wandb")
    rows, logged = wandb_rows(file), Log(made.folder / "log.csv").rows()
    assert [row["_step"] for row in rows] == [2, 4, 6, 8]
    for name in ("loss", "grad_norm", "learning_rate", "images_per_second"):
        np.testing.assert_allclose([row[name] for row in rows], [row[name] for row in logged], rtol=1e-6)


def test_a_tracker_that_does_not_begin_is_one_line(tmp_path, data, monkeypatch):
    pytest.importorskip("wandb")

    def refuse(*_, **__):
        raise ValueError("No API key\nconfigured")

    monkeypatch.setattr("accelerate.Accelerator.init_trackers", refuse)
    with pytest.raises(gb.UserError, match=r"tracker='wandb' does not begin: No API key configured; WANDB_MODE=offl"):
        make(recipe(), data, tmp_path, "cpu", Execution(tracker="wandb"))


def test_unknown_and_absent_trackers_are_one_line(tmp_path, data, monkeypatch):
    with pytest.raises(gb.UserError, match=r"tracker='tensorbord'.*did you mean 'tensorboard'"):
        make(recipe(), data, tmp_path, "cpu", Execution(tracker="tensorbord"))
    monkeypatch.setattr("guidance_bench.training.tracking.find_spec", lambda name: None)
    with pytest.raises(gb.UserError, match="pip install wandb"):
        make(recipe(), data, tmp_path, "cpu", Execution(tracker="wandb"))


def test_weights_kept_on_the_way_are_those_of_a_shorter_training(tmp_path, data):
    # a constant rate: the shorter training is the beginning of the longer one
    long = recipe(decay="constant", ema=(0.5, 0.9))
    made = make(long, data, tmp_path, "cpu", Execution(keep_every=3))
    kept = sorted(p.name for p in (made.folder / "snapshots").iterdir())
    assert kept == [f"step_00000000{s}_ema_{d}.safetensors" for s in (3, 6) for d in (0.5, 0.9)]
    short = make(recipe(decay="constant", ema=(0.5, 0.9), steps=6), data, tmp_path, "cpu", Execution())
    a = gb.load_backbone(made.folder / "snapshots" / "step_000000006_ema_0.9.safetensors").state_dict()
    b = gb.load_backbone(short.folder / "ema_0.9.safetensors").state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_looking_shows_samples_and_disturbs_nothing(tmp_path, data):
    seen = TrainingSamples(data, tmp_path / "samples", count=30, steps=2)
    looked = make(recipe(), data, tmp_path / "looked", "cpu", Execution(observe_every=4, observer=seen))
    plain = make(recipe(), data, tmp_path / "plain", "cpu", Execution())
    assert looked.facts["sha256"] == plain.facts["sha256"]
    names = [f"step_00000000{step}_{method}.png" for step in (4, 8) for method in ("ig", "none")]
    assert sorted(p.name for p in (tmp_path / "samples").iterdir()) == names
    assert Image.open(tmp_path / "samples" / names[0]).size == (80, 24)
    rows = Log(looked.folder / "observed.csv", ("step", "name", "value")).rows()
    assert [(r["step"], r["name"]) for r in rows] == [
        (step, f"frechet_cells_{method}") for step in (4, 8) for method in ("none", "ig")
    ]
    network = gb.load_backbone(looked.model)
    assert seen(8, network)["frechet_cells_none"] == pytest.approx(rows[2]["value"], rel=1e-5)
    assert all(np.isfinite(r["value"]) and r["value"] > 0 for r in rows)


def test_cells_are_means():
    x = torch.arange(2 * 16 * 16.0).reshape(2, 1, 16, 16)
    assert np.array_equal(cells(x)[0, :2], [8.5, 10.5]) and cells(x).shape == (2, 64)
    assert cells(torch.zeros(3, 32, 16, 16)).shape == (3, 512)


def test_latents_without_an_autoencoder_say_how_to_be_shown():
    class Channels(ImageArray):
        shape = (4, 8, 8)

    wide = Channels("x", np.zeros((2, 8, 8, 4), np.uint8), np.array([0, 1]), "ab")
    with pytest.raises(gb.UserError, match="4 channels are no pictures"):
        wide.pictures(torch.zeros(1, 4, 8, 8))


def cut_off(monkeypatch, folder, data, tracker: str, at: int = 6):
    """A training that ends before step ``at`` + 1 with its last checkpoint two steps back; logged every step."""
    real = Trainer._take

    def take(self, batch):
        if self.step == at:
            raise KeyboardInterrupt
        return real(self, batch)

    how = Execution(log_every=1, checkpoint_every=at - 2, tracker=tracker)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "_take", take)
        make(recipe(), data, folder, "cpu", how)
    return how


def test_tensorboard_shows_each_step_once_after_an_interruption(tmp_path, data, monkeypatch):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    how = cut_off(monkeypatch, tmp_path, data, "tensorboard")
    made = make(recipe(), data, tmp_path, "cpu", how)
    board = events.EventAccumulator(str(made.folder / "tracking")).Reload()
    assert [s.step for s in board.Scalars("loss")] == list(range(1, 9))
    rows = Log(made.folder / "log.csv").rows()
    np.testing.assert_allclose([s.value for s in board.Scalars("loss")], [row["loss"] for row in rows], rtol=1e-6)
    assert len(list((made.folder / "tracking").glob("events*"))) == 2
    assert len(list((made.folder / "tracking").rglob("hparams.yml"))) == 1


@pytest.mark.slow
def test_wandb_is_one_run_after_an_interruption(tmp_path, data, monkeypatch):
    """Offline W&B begins another folder; it has the id of the first and holds the whole training."""
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    how = cut_off(monkeypatch, tmp_path, data, "wandb")
    wandb.finish()
    made = make(recipe(), data, tmp_path, "cpu", how)
    first, second = sorted((made.folder / "wandb").glob("offline-run-*/*.wandb"), key=lambda file: file.stat().st_mtime)
    assert first.name == second.name == f"run-{(made.folder / 'wandb_id').read_text()}.wandb"
    assert [row["_step"] for row in wandb_rows(first)] == list(range(1, 7))
    rows, logged = wandb_rows(second), Log(made.folder / "log.csv").rows()
    assert [row["_step"] for row in rows] == list(range(1, 9))
    np.testing.assert_allclose([row["loss"] for row in rows], [row["loss"] for row in logged], rtol=1e-6)


def test_wandb_is_not_sent_again_what_it_has(tmp_path, data, monkeypatch):
    """Online it goes on behind the last step that it has seen."""
    sent, begun = [], {}

    class Run:
        step = 5

    monkeypatch.setattr("accelerate.Accelerator.init_trackers", lambda *words: begun.update(words[3]["wandb"]))
    monkeypatch.setattr("accelerate.Accelerator.get_tracker", lambda *_, **__: Run)
    monkeypatch.setattr("accelerate.Accelerator.log", lambda _, values, step: sent.append((step, values)))
    accelerator = Accelerator(cpu=True)
    accelerator.log_with = ["wandb"]  # as where it is installed
    kept = [{"step": step, "loss": 1.0} for step in range(1, 7)]
    tracking = Tracking(accelerator, tmp_path, {}, kept)
    tracking.log({"step": 7, "loss": 2.0})
    assert sent == [(5, {"loss": 1.0}), (6, {"loss": 1.0}), (7, {"loss": 2.0})]
    assert begun["resume"] == "allow" and begun["id"] == (tmp_path / "wandb_id").read_text()
    again = dict(begun)
    Tracking(accelerator, tmp_path, {}, kept)
    assert begun["id"] == again["id"]
