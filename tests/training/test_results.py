"""What a training leaves is taken by load_backbone and run: its folder, its file, a checkpoint on the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import guidance_bench as gb
from guidance_bench.cli.main import main
from guidance_bench.networks.checkpoints import about_network, save_backbone
from guidance_bench.networks.origin import Origin
from guidance_bench.training import trainer as training
from guidance_bench.training.execution import Execution
from guidance_bench.training.protocol import make, the_data, the_recipe

TINY = {"hidden_size": 16, "depth": 2, "num_heads": 2, "batch": 16, "warmup": 4, "tap": 1}


def stopped(monkeypatch, at: int, *words) -> Path:
    """A training that is cut off after ``at`` steps, with a checkpoint of the step before."""
    real = training.Trainer._take

    def take(self, batch):
        if self.step == at:
            raise KeyboardInterrupt
        return real(self, batch)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training.Trainer, "_take", take)
        make(*words, "cpu", Execution(checkpoint_every=at - 1))
    (file,) = words[-1].rglob("step_*.pt")
    return file


def test_a_finished_trainings_folder_and_file_are_one_network_for_a_run(tmp_path, capsys):
    words = [f"recipe.{name}={value}" for name, value in {**TINY, "steps": 6}.items()]
    out = tmp_path / "trained"
    assert main(["train", "recipe=digits_sit_ig", "data=digits", *words, f"output={out}", "device=cpu"]) == 0
    (folder,) = (out / "models").iterdir()
    a, b = (gb.load_backbone(source).state_dict() for source in (folder, folder / "model.safetensors"))
    assert all(torch.equal(a[name], b[name]) for name in a)
    for number, source in enumerate((folder, folder / "model.safetensors", folder / "ema_0.995.safetensors")):
        run = ["benchmark=digits", "method=ig", "benchmark.samples=20", f"backbone={source}", "device=cpu"]
        assert main(["check", *run, f"output={tmp_path / str(number)}"]) == 0
        assert main(["run", *run, f"output={tmp_path / str(number)}"]) == 0
    records = [json.loads(next((tmp_path / str(n)).glob("*/record.json")).read_text()) for n in range(3)]
    assert len({record["run_id"] for record in records}) == 1  # one decay: three files of the same bytes
    known = json.loads((folder / "training.json").read_text())
    assert records[0]["networks"]["main"]["sha256"] == known["sha256"]
    data = the_data("digits").name
    told = {"recipe": "digits_sit_ig", "data": data, "training": folder.name, "steps": 6, "ema": 0.995}
    assert records[0]["spec"]["networks"]["main"] == {"backbone": "sit", "sha256": known["sha256"], **told}
    capsys.readouterr()
    assert main(["leaderboard", str(tmp_path / "0"), f"output={tmp_path / 'board'}"]) == 0
    words_of = f"digits_sit_ig, trained for 6 steps on digits, EMA 0.995, sha256 {known['sha256'][:12]} "
    assert words_of in (tmp_path / "board" / "leaderboard.md").read_text().replace("\\", "")
    weak = ["benchmark=digits", "method=autoguidance", "benchmark.samples=20", f"backbone={folder}", f"weak={folder}"]
    assert main(["run", *weak, f"output={tmp_path / 'weak'}", "device=cpu"]) == 0


@pytest.mark.parametrize("network", [{}, {"hidden_size": 384, "num_heads": 6, "depth": 12, "patch_size": 8, "tap": 4}])
def test_a_checkpoint_on_the_way_is_the_averaged_network_of_its_step(tmp_path, monkeypatch, network):
    """Also where the tensors look like an official SiT-S, whose time runs the other way."""
    fields = {**TINY, "decay": "constant", "learn_sigma": bool(network), **network}
    data = the_data("digits")
    file = stopped(monkeypatch, 4, the_recipe("digits_sit_ig", {**fields, "steps": 9}), data, tmp_path / "cut")
    whole = make(the_recipe("digits_sit_ig", {**fields, "steps": 3}), data, tmp_path / "whole", "cpu", Execution())
    found, wanted = gb.load_backbone(file), gb.load_backbone(whole.folder)
    assert found.config == wanted.config and found.data_time is wanted.data_time is False
    state = wanted.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in found.state_dict().items())
    assert (found.origin.steps, found.origin.ema) == (wanted.origin.steps, wanted.origin.ema) == (3, 0.995)
    assert (found.origin.training, wanted.origin.training) == (file.parents[1].name, whole.folder.name)
    last = gb.load_backbone(file, weights="model")
    assert not all(torch.equal(tensor, last.state_dict()[name]) for name, tensor in state.items())
    assert last.origin.ema is None


def test_a_folder_without_a_result_says_what_to_give(tmp_path, monkeypatch):
    recipe = the_recipe("digits_sit_ig", {**TINY, "steps": 9})
    file = stopped(monkeypatch, 3, recipe, the_data("digits"), tmp_path)
    with pytest.raises(gb.UserError, match=rf"not finished: run its command again, or give '.*{file.name}'"):
        gb.load_backbone(file.parents[1])
    with pytest.raises(gb.UserError, match=r"not finished"):
        gb.run("digits", backbone=file.parents[1], output=tmp_path / "out")
    with pytest.raises(gb.UserError, match=r"is a folder without model\.safetensors"):
        gb.load_backbone(str(tmp_path))


def test_what_a_file_says_of_its_training_is_checked(tmp_path):
    network = gb.BACKBONES.create("sit", input_size=8, hidden_size=16, depth=1, num_heads=2, num_classes=3).build()
    known = Origin(recipe="mine", data="d", training="0" * 12, steps=5, ema=0.5)
    save_backbone(network, tmp_path / "a.safetensors", known)
    assert gb.load_backbone(tmp_path / "a.safetensors").origin == known
    save_backbone(network, tmp_path / "b.safetensors")
    assert gb.load_backbone(tmp_path / "b.safetensors").origin is None
    for wrong in ([], {}, {**known.as_dict(), "steps": "5"}, {**known.as_dict(), "recipe": ""}):
        odd = json.dumps({**json.loads(about_network(network)), "training": wrong})
        save_file(network.state_dict(), tmp_path / "c.safetensors", metadata={"guidance_bench": odd})
        with pytest.raises(gb.UserError, match=r"c.safetensors': what its file says of its training is damaged"):
            gb.load_backbone(tmp_path / "c.safetensors")
