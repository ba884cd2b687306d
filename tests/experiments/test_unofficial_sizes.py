"""Networks of a user's own in the official layouts and no official size: heads and tap are told in words of ``run``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
import stand_ins
import torch

import guidance_bench as gb
from guidance_bench.cli.main import main
from guidance_bench.core.randomness import initial_noise, label_sequence
from guidance_bench.experiments.records import read_records
from guidance_bench.storage.sample_store import SampleStore

DIGITS = {"input_size": 8, "in_channels": 1, "num_classes": 10, "patch_size": 2}
#: an odd size of each kind of file: widths, depths and heads that no preset has
ODD = {
    "sit": ("sit", {"hidden_size": 40, "depth": 3, "num_heads": 5, "learn_sigma": True}),
    "sit_ig": ("sit", {"hidden_size": 48, "depth": 5, "num_heads": 6, "tap": 3, "learn_sigma": False}),
    "lightningdit_ig": ("lightningdit", {"hidden_size": 64, "depth": 4, "num_heads": 2, "tap": 2, **stand_ins.LIGHT}),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("odd")
    for name, (kind, config) in ODD.items():
        state = stand_ins.random_state(gb.BACKBONES.create(kind, **DIGITS, **config).build(), seed=1)
        nested = {"model": state, "ema": state, "opt": {}, "args": argparse.Namespace(model="odd")}
        torch.save(state if name == "sit" else nested, folder / f"{name}.pt")
    return {name: folder / f"{name}.pt" for name in ODD}


def words(output: Path, *more: str) -> list[str]:
    sizes = ["benchmark.samples=20", "benchmark.block=20", "solver=euler", "solver.steps=3"]
    return ["benchmark=digits", *sizes, f"output={output}", "device=cpu", *more]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sit", "tensors do not tell num_heads, and width 40 with depth 3 is no official size; give num_heads=... to "),
        ("sit_ig", "to run: backbone.num_heads=... backbone.tap=... (weak. for the weaker network)"),
        ("lightningdit_ig", "to run: backbone.tap=... (weak."),  # rotary positions show the heads
    ],
)
def test_what_the_file_does_not_tell_is_named_with_the_words_that_tell_it(files, name, message, tmp_path, capsys):
    for verb in ("check", "run"):
        assert main([verb, *words(tmp_path, f"backbone={files[name]}")]) == 2
        *notes, said = capsys.readouterr().err.splitlines()
        assert message in said and all("averaged weights" in note for note in notes)
    assert not list(tmp_path.iterdir())


def test_told_in_words_it_runs_is_named_apart_and_is_verified(files, tmp_path, capsys):
    own = [f"backbone={files['sit_ig']}", "backbone.num_heads=6", "method=ig"]
    told = words(tmp_path / "a", *own, "backbone.tap=3")
    assert main(["check", *told]) == 0
    assert "run would start" in capsys.readouterr().out
    assert main(["run", *told]) == 0
    (record,) = read_records(tmp_path / "a")
    assert record["spec"]["networks"]["main"]["settings"] == {"num_heads": 6, "tap": 3}
    assert "backbone.num_heads=6 backbone.tap=3" in record["command"]
    assert main(["verify", str(tmp_path / "a" / record["run_id"]), f"output={tmp_path / 'a'}", "device=cpu"]) == 0
    assert "20 made again, bit for bit" in capsys.readouterr().out
    assert main(["run", *words(tmp_path / "a", *own, "backbone.tap=2")]) == 0  # another head of the same file
    digests = {r["run_id"]: r["samples"]["digest"] for r in read_records(tmp_path / "a")}
    assert len(digests) == len(set(digests.values())) == 2
    solver = gb.SOLVERS.create("euler", steps=3)
    network = gb.load_backbone(files["sit_ig"], num_heads=6, tap=3)
    assert network.trained_taps == (3,)
    labels = label_sequence("balanced", 20, 10, record["spec"]["seed"])
    noise = initial_noise(record["spec"]["seed"], range(20), network.shape)
    made = gb.sample(network, gb.METHODS.create("ig"), solver, labels=labels, noise=noise)
    images = gb.BENCHMARKS.create("digits").decode(made)
    (shard,) = SampleStore.open(tmp_path / "a" / record["run_id"])
    assert (images == shard.images).all()


def test_a_weaker_network_has_words_of_its_own_and_python_has_the_same(files, tmp_path):
    both = [f"backbone={files['lightningdit_ig']}", "backbone.tap=2", f"weak={files['sit']}", "weak.num_heads=5"]
    assert main(["run", *words(tmp_path / "a", *both, "method=autoguidance")]) == 0
    (record,) = read_records(tmp_path / "a")
    networks = record["spec"]["networks"]
    assert (networks["main"]["settings"], networks["weak"]["settings"]) == ({"tap": 2}, {"num_heads": 5})
    frame = gb.run(
        "digits",
        method="none",
        output=tmp_path / "b",
        samples=20,
        block=20,
        backbone=files["sit"],
        backbone_config={"num_heads": 5},
    )
    assert json.loads(json.dumps(frame["networks"][0]))["main"]["settings"] == {"num_heads": 5}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["backbone.num_heads=7"], "num_heads=7"),
        (["backbone.heads=5"], "did you mean 'num_heads'"),
        (["backbone.depth=9", "backbone.num_heads=5"], "depth=9 contradicts the tensors, which say 3"),
        (["backbone.device=cuda", "backbone.num_heads=5"], "backbone.device= is not told of a network's file"),
        (["backbone.layout=7", "backbone.num_heads=5"], "unknown layout '7'"),
        (["backbone.num_heads=[2,5]"], "gives no value: backbone.num_heads=VALUE"),
        (["weak.num_heads=5", "backbone.num_heads=5"], "weak.num_heads= goes with a network of your own: weak=FILE"),
    ],
)
def test_wrong_words(files, more, message, tmp_path, capsys):
    assert main(["run", *words(tmp_path, f"backbone={files['sit']}", *more)]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_words_without_a_network_of_ones_own(tmp_path, capsys):
    for benchmark in ("digits", "imagenet256"):
        assert main(["run", f"benchmark={benchmark}", "backbone.num_heads=5", f"output={tmp_path}"]) == 2
        assert "backbone.num_heads= goes with a network of your own: backbone=FILE" in capsys.readouterr().err


def test_benchmarks_at_checkpoints_take_them_too(tmp_path):
    """``backbone=FILE`` of an odd SiT with the head after block 5, beside ImageNet 256's stand-in of a reference."""
    config = {**stand_ins.SD, "hidden_size": 48, "depth": 7, "num_heads": 4, "learn_sigma": False, "tap": 5}
    state = stand_ins.random_state(gb.BACKBONES.create("sit", **config).build(), seed=2)
    torch.save({"ema": state}, tmp_path / "odd.pt")
    given = [f"vae={stand_ins.kl_autoencoder(tmp_path, 4, 4)}", f"reference={stand_ins.adm_reference(tmp_path)}"]
    chosen = [f"backbone={tmp_path / 'odd.pt'}", "backbone.num_heads=4", "backbone.tap=5", "method=ig"]
    chosen += ["solver=euler", "solver.steps=2", "device=cpu", f"output={tmp_path / 'out'}"]
    stand_in = f"benchmark={Path(stand_ins.__file__)}"
    assert main(["run", stand_in, *given, *chosen]) == 0
    (record,) = read_records(tmp_path / "out")
    assert record["spec"]["networks"]["main"]["settings"] == {"num_heads": 4, "tap": 5}
    run = str(tmp_path / "out" / record["run_id"])
    assert main(["verify", run, stand_in, f"output={tmp_path / 'out'}", "device=cpu"]) == 0
