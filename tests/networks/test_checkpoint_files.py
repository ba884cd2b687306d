"""Files of training programs: what else they hold is not built, nothing of them is run, damage is one line."""

from __future__ import annotations

import argparse
import collections
import enum
import io
import random
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file
from small_checkpoints import GOOD, check, refused

import guidance_bench as gb


class Level(enum.Enum):
    HIGH = "high"


def _beside() -> dict[str, object]:
    """What training programs keep beside the tensors."""
    return {
        "config": OmegaConf.create({"model": {"name": "SiT-B/2", "scales": [1, 2]}}),
        "folder": Path("/data/imagenet"),
        "numpy": np.random.get_state(),
        "generator": np.random.default_rng(0),
        "python": random.getstate(),
        "counts": collections.defaultdict(list, {"a": [1], "b": [2]}),
        "level": Level.HIGH,
        "args": argparse.Namespace(lr=np.float64(1e-4), steps=np.int64(5), array=np.arange(3)),
        "rng": torch.get_rng_state(),
        "optimizer": torch.optim.AdamW([torch.nn.Parameter(torch.zeros(2))]).state_dict(),
        "dtype": torch.float32,
        "device": torch.device("cpu"),
        "queue": collections.deque([1, 2]),
        "names": {"a", "b"},
    }


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("thing", [*_beside(), None])
def test_what_else_a_training_checkpoint_holds_is_not_built(tmp_path, zipped, thing):
    beside = _beside() if thing is None else {thing: _beside()[thing]}
    content = {**beside, "model": GOOD}
    torch.save(content, tmp_path / "last.pt", _use_new_zipfile_serialization=zipped)
    check(tmp_path / "last.pt")


def test_weights_in_a_defaultdict_and_in_parameters(tmp_path):
    kept = collections.defaultdict(dict, {"ema": {k: torch.nn.Parameter(v) for k, v in GOOD.items()}})
    torch.save(kept, tmp_path / "last.pt")
    check(tmp_path / "last.pt")


def test_views_and_shared_storages_are_read_as_they_were(tmp_path):
    whole = torch.arange(24.0).view(4, 6)
    torch.save({"model": {"a": whole[1:3, ::2].T, "b": whole, "c": whole.to(torch.bfloat16)}}, tmp_path / "views.pt")
    from guidance_bench.storage.checkpoint_files.reading import read_checkpoint

    read = read_checkpoint(tmp_path / "views.pt")[0]["model"]
    assert torch.equal(read["a"], whole[1:3, ::2].T) and torch.equal(read["c"], whole.to(torch.bfloat16))
    assert read["a"].untyped_storage().data_ptr() == read["b"].untyped_storage().data_ptr()


def test_the_content_tells_the_format_not_the_ending(tmp_path):
    save_file(GOOD, tmp_path / "weights.pt")
    torch.save({"ema": GOOD}, tmp_path / "weights.safetensors")
    torch.save({"ema": GOOD}, tmp_path / "weights.bin")
    for name in ("weights.pt", "weights.safetensors", "weights.bin"):
        check(tmp_path / name)


def test_files_that_are_something_else(tmp_path):
    path = tmp_path / "model.pt"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    refused("is a pointer of Git LFS, not the file: run git lfs pull", path)
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), path)
    refused(r"is a TorchScript program: save the module's state_dict\(\) instead", path)
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("pickle"), io.BytesIO())
    refused("another tar file", path)
    torch.save({"model": torch.nn.Linear(1, 1)}, path)
    refused("'model' is a whole object of torch.nn.modules.linear.Linear: save its", path)
    refused("'epoch' is no tensor; weights are looked for under ema, EMA", {"epoch": 3})


RAN = []


class HostileBuild:
    """Runs code of its own while it is rebuilt."""

    def __getstate__(self):
        return {"x": 1}

    def __setstate__(self, state):
        RAN.append(state)


class HostileEval:
    def __reduce__(self):
        return eval, ("__import__('os').getpid()",)


@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_of_a_file_is_run(tmp_path, zipped):
    path = tmp_path / "hostile.pt"
    torch.save({"ema": GOOD, "build": HostileBuild()}, path, _use_new_zipfile_serialization=zipped)
    RAN.clear()
    check(path)
    assert not RAN
    torch.load(path, weights_only=False)
    assert RAN  # it would have
    torch.save({"ema": GOOD, "eval": HostileEval()}, path, _use_new_zipfile_serialization=zipped)
    refused("refused: its pickle asks for builtins.eval, which could run code", path)


def test_no_module_is_imported_for_a_file(tmp_path, monkeypatch):
    (tmp_path / "trap_module.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    stream = b"\x80\x02}q\x00(X\x05\x00\x00\x00modelq\x01ctrap_module\nTrap\nq\x02)\x81q\x03u."
    path = with_pickle(tmp_path / "trap.pt", stream)
    refused("'model' is a whole object of trap_module.Trap", path)


def with_pickle(path, stream: bytes, base=None):
    """A file of torch.save whose pickle is replaced."""
    buffer = io.BytesIO()
    torch.save({} if base is None else base, buffer)
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, stream if name.endswith("data.pkl") else old.read(name))
    return path


def test_a_flipped_bit_does_not_fill_the_memory(tmp_path):
    """A place in the memo that no pickle of this length can have come to; Python would make room for all before it."""
    for stream in (b"\x80\x02}r\xff\xff\xff\x7f.", b"\x80\x02}p2147483647\n."):
        refused("is damaged, or no file of", with_pickle(tmp_path / "x.pt", stream))
        (tmp_path / "y.pt").write_bytes(stream)
        refused("is damaged, or no file of", tmp_path / "y.pt")


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_damaged_files_are_one_line_or_read(tmp_path, kind):
    """Bytes changed, cut out and put in, most of them in the pickle; nothing but our own error comes out."""
    from guidance_bench.storage.checkpoint_files.containers import state_dict
    from guidance_bench.storage.checkpoint_files.reading import read_checkpoint

    path = tmp_path / "model.pt"
    tensors = {f"blocks.{i}.weight": torch.ones(3, 4) for i in range(3)}
    if kind == "safetensors":
        save_file(tensors, path)
    else:
        content = {"ema": tensors, "args": argparse.Namespace(a=1), "numpy": np.random.get_state()[:1]}
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
    whole = path.read_bytes()
    draw = random.Random(0)
    start = whole.find(b"data.pkl") if kind == "zip" else 0
    outcomes = collections.Counter()
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(draw.choice([1, 2, 5])):
            place = min(start + draw.randrange(900), len(data) - 1)
            kindof = draw.random()
            if kindof < 0.7:
                data[place] = draw.randrange(256)
            elif kindof < 0.85:
                del data[place : place + draw.randrange(1, 9)]
            else:
                data[place:place] = draw.randbytes(draw.randrange(1, 5))
        path.write_bytes(data)
        try:
            state_dict(read_checkpoint(path)[0], None, "it")
            outcomes["read"] += 1
        except gb.UserError:
            outcomes["refused"] += 1
    assert outcomes["refused"] > 30 and outcomes.total() == 150
