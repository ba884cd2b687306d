"""The preflight: what is missing, what a run would do, and that run starts exactly where it says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import stand_ins
from commands import TINY

import guidance_bench as gb
from guidance_bench.cli.main import main
from guidance_bench.core.console import duration
from guidance_bench.experiments.preflight import cost
from guidance_bench.experiments.preflight.cost import activations

STAND_IN = str(Path(stand_ins.__file__))


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GUIDANCE_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GUIDANCE_BENCH_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("GUIDANCE_BENCH_INCEPTION", raising=False)


def check(*words: str) -> int:
    return main(["check", *words, "device=cpu"])


def test_every_missing_download_of_every_row_is_named(tmp_path, capsys):
    assert check("benchmark=imagenet256", "row=all", f"output={tmp_path / 'out'}") == 1
    said = capsys.readouterr().out
    parts = {part.partition("\n")[0].strip(): part for part in said.split("row ")[1:]}
    assert list(parts) == list(gb.BENCHMARKS.create("imagenet256").declared.rows)
    cache = str(tmp_path / "cache")
    for row, part in parts.items():
        published = "no checkpoint of" not in part
        assert published != row.startswith(("sit_b", "sit_xl_ig_80ep", "lightningdit_xl_ig_60ep"))
        assert published or "give checkpoint=FILE of your own" in part
        assert part.count("\nmissing ") == (5 if row.startswith("lightning") else 4), row
        assert "VIRTUAL_imagenet256_labeled.npz, 2.0 GB, https://openaipublic" in part
        assert "weights-inception-2015-12-05-6726825d.pth" in part and f"'{cache}" in part
        assert "run would not start" in part
    assert "SiT-XL-2-256x256.pt, 2.7 GB, https://www.dl.dropboxusercontent.com" in parts["sit_xl_cfg"]
    assert "lightningdit-xl-imagenet256-64ep.pt" in parts["lightningdit_xl_64ep_cfg"]
    assert "vavae-imagenet256-f16d32-dinov2.pt, 2.1 GB" in parts["lightningdit_xl_cfg"].replace("2.2 GB", "2.1 GB")
    assert "latents_stats.pt" in parts["lightningdit_xl_cfg"]
    assert "https://huggingface.co/CVLUESTC/Internal-Guidance/tree/main/SiT" in parts["sit_xl_ig_cfg"]
    assert "give checkpoint=FILE" in parts["sit_xl_ig_cfg"]
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("official")
    found = {name: stand_ins.checkpoint(folder, name) for name in ("sit_xl", "sit_xl_ig")}
    found["vae"] = stand_ins.kl_autoencoder(folder, 4, 4)
    found["reference"] = stand_ins.adm_reference(folder)
    return found


def test_seeds_of_a_setting_are_counted_once_and_paid_each(tmp_path, capsys, monkeypatch):
    """60 samples of 4 steps, each of two evaluations of a quarter of a second, half a second to decode."""
    monkeypatch.setattr(cost, "_seconds", lambda work: 0.5)
    for seeds, time in (("0", 150), ("0,1,2", 450)):
        assert check(f"benchmark={TINY}", "lineup=false", "method=cfg", f"seeds={seeds}", f"output={tmp_path}") == 0
        said = capsys.readouterr().out
        assert said.count("ok      evaluations cfg scale=1.5: 8 of the main network a sample") == 1
        assert f"note    time        about {duration(time)} of sampling" in said


def words(files, output, *more) -> list[str]:
    given = [f"vae={files['vae']}", f"reference={files['reference']}", f"output={output}"]
    return [f"benchmark={STAND_IN}", *given, "solver=euler", "solver.steps=3", *more]


def test_what_a_run_would_do_and_that_it_does(files, tmp_path, capsys):
    told = words(files, tmp_path / "out", "row=sit_xl_cfg", f"checkpoint={files['sit_xl']}")
    assert check(*told) == 0
    said = capsys.readouterr().out
    assert "cfg scale=1.5 channels=3: 6 of the main network a sample" in said
    assert "to do" in said and "run would start" in said and " free in " in said
    assert "a pass of 8 rows" in said and "to decode a sample" in said  # a block of 4, with and without class
    (line,) = [line for line in said.splitlines() if line.startswith("ok      run ")]
    assert not (tmp_path / "out").exists()
    assert main(["run", *told, "device=cpu"]) == 0
    run_id = line.split()[2]
    assert (tmp_path / "out" / run_id / "record.json").is_file()
    capsys.readouterr()
    assert check(*told) == 0
    assert f"{run_id}  cfg scale=1.5 channels=3, seed 0: done already" in capsys.readouterr().out


def test_a_method_that_the_network_cannot_answer(files, tmp_path, capsys):
    given = [f"checkpoint={files['sit_xl']}", "backbone=sit_xl", "method=ig"]
    assert check(*words(files, tmp_path, *given)) == 1
    assert "no trained internal head" in capsys.readouterr().out


def test_a_reference_without_the_statistics(files, tmp_path, capsys):
    with np.load(files["reference"]) as whole:
        np.savez(tmp_path / "bare.npz", mu=whole["mu"], sigma=whole["sigma"])
    given = [f"checkpoint={files['sit_xl']}", "row=sit_xl_cfg"]
    told = [w for w in words(files, tmp_path, *given) if not w.startswith("reference=")]
    assert check(*told, f"reference={tmp_path / 'bare.npz'}") == 1
    said = capsys.readouterr().out
    assert "sfid needs mu_s and sigma_s" in said and "precision_recall needs arr_0" in said


def test_a_benchmark_that_trains_is_looked_at_without_training(tmp_path, capsys):
    assert check(f"benchmark={TINY}", f"output={tmp_path / 'out'}") == 0
    said = capsys.readouterr().out
    assert said.count("to do") == 2 and "cfg scale=1.5: 8 of the main network a sample" in said
    assert said.count("note    training") == 1 and "main network, " in said and " steps in all" in said
    assert not (tmp_path / "out").exists()


def test_memory_is_that_of_the_layers_of_a_block_by_hand():
    """SiT of 4 tokens and width 64: what each layer of a block gives out, in float32."""
    network = gb.BACKBONES.create("sit", **{**stand_ins.SD, "learn_sigma": False}).build()
    tokens, width = 4, 64
    modulation = width + 6 * width  # SiLU and linear
    attention, mlp = tokens * (3 * width + width), tokens * (4 * width + 4 * width + width)
    assert activations(network) == 4 * (modulation + attention + mlp)  # norms without weights are no layers


def test_missing_weights_of_inception_are_named_by_every_benchmark_that_needs_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("guidance_bench.features.inception_weights.find_packaged", lambda: None)
    assert check("benchmark=fashion_mnist", "method=none", f"output={tmp_path / 'out'}") == 1
    said = capsys.readouterr().out
    assert "Inception: weights-inception-2015-12-05-6726825d.pth" in said and "95.6 MB to be downloaded" in said


def test_a_network_of_ones_own_on_any_benchmark(tmp_path, capsys):
    """What was trained under one run is compared with all methods by its file."""
    assert main(["run", f"benchmark={TINY}", "method=none", f"output={tmp_path / 'a'}", "device=cpu"]) == 0
    (model,) = (tmp_path / "a" / "models").glob("*/model.safetensors")
    told = [f"benchmark={TINY}", f"backbone={model}", f"output={tmp_path / 'b'}"]
    assert check(*told) == 0
    assert main(["run", *told, "device=cpu"]) == 0
    records = gb.load_results(tmp_path / "b")
    assert sorted(records["method"]) == ["cfg", "none"]
    assert not list((tmp_path / "b").rglob("model.safetensors"))
    first = gb.load_results(tmp_path / "a")
    same = records.loc[records["method"] == "none", "frechet_distance_pixels"].iloc[0]
    assert same == first["frechet_distance_pixels"].iloc[0]
    run = tmp_path / "b" / records.loc[records["method"] == "cfg", "run_id"].iloc[0]
    assert main(["verify", str(run), f"benchmark={TINY}", f"output={tmp_path / 'b'}", "device=cpu"]) == 0
    frame = gb.run("tiny", method="none", backbone=model, output=tmp_path / "c")
    assert frame["frechet_distance_pixels"].iloc[0] == same


def test_words_that_run_refuses(capsys):
    assert main(["check", "benchmark=digit"]) == 2
    assert "did you mean 'digits'" in capsys.readouterr().err
    assert main(["check", "benchmark=imagenet256", "row=sit_xl"]) == 1
    assert "unknown row 'sit_xl'" in capsys.readouterr().out


@pytest.mark.parametrize(("overhead", "a_sample", "rows"), [(0.02, 0.001, 128), (0.02, 0.01, 32), (0.0, 0.15, 2)])
def test_the_probe_takes_so_many_samples_that_overhead_is_not_counted_as_work(monkeypatch, overhead, a_sample, rows):
    monkeypatch.setattr(cost, "_seconds", lambda work: overhead + a_sample * work.args[1])
    assert cost._seconds_a_sample(None) == pytest.approx(overhead / rows + a_sample)
