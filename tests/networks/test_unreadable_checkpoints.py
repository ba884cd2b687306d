"""Files that are not read as checkpoints: hostile, cut short, of another kind."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from golden_backbones import Golden, refused
from safetensors.torch import save_file


class Hostile:
    """Asks the reader to run a command."""

    def __init__(self, path: Path) -> None:
        self.command = f"touch {path}"

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("how", ["zip", "legacy", "pickle 2", "pickle 4"])
def test_a_hostile_pickle_is_refused_and_does_not_run(tmp_path, how):
    ran, path = tmp_path / "ran", tmp_path / "hostile.pt"
    content = {"ema": Golden("sit").weights, "args": Hostile(ran)}
    if how.startswith("pickle"):
        path.write_bytes(pickle.dumps(Hostile(ran), protocol=int(how[-1])))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "zip")
    refused(r"hostile\.pt' is (refused: its pickle asks for \w+\.system|damaged)", path, num_heads=4)
    assert not ran.exists()
    if how == "legacy":
        pickle.loads(pickle.dumps(Hostile(ran)))  # it would have run
        assert ran.exists()


def test_whole_modules_are_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")
    refused("holds a whole object of torch.nn.modules.linear.Linear, not a state dict", tmp_path / "module.pt")


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize("kept", [0, 100, -1, -5000])
def test_truncated_files(tmp_path, suffix, kept):
    whole, path = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}"
    weights = Golden("sit").weights
    torch.save(weights, whole) if suffix == "pt" else save_file(weights, whole)
    path.write_bytes(whole.read_bytes()[:kept])
    refused(f"cut.{suffix}' is damaged, or no file of safetensors or torch.save", path, num_heads=4)


def test_files_of_another_kind(tmp_path):
    (tmp_path / "text.pt").write_text("hello")
    refused("text.pt' is damaged, or no file of", tmp_path / "text.pt")
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    refused("list.pt' holds a list, not a state dict", tmp_path / "list.pt")
    refused("nowhere.pt' is no file", tmp_path / "nowhere.pt")
    refused("' is a folder without model.safetensors", tmp_path)
