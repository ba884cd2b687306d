"""ImageNet 256 end to end on small files of exactly the official form; what each row is; what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import stand_ins
from commands import run as run_command

import guidance_bench as gb
from guidance_bench.cli.main import main
from guidance_bench.core.errors import UserError
from guidance_bench.experiments.published.declaration import read_declaration
from guidance_bench.networks.checkpoints import save_backbone
from guidance_bench.networks.origin import Origin
from guidance_bench.storage.hub import known_checkpoints, wanted

STAND_IN = str(Path(stand_ins.__file__))


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("official")
    (folder / "sd").mkdir()
    (folder / "va").mkdir()
    found = {name: stand_ins.checkpoint(folder, name) for name in stand_ins.FORMS}
    found["sd_vae"] = stand_ins.kl_autoencoder(folder / "sd", 4, 4)
    found["va_vae"] = stand_ins.kl_autoencoder(folder / "va", 5, 32)
    found["taesd"] = stand_ins.taesd(folder / "taesd")
    found["reference"] = stand_ins.adm_reference(folder)
    return found


def words(files, row, output, *more, vae="") -> list[str]:
    backbone = gb.BENCHMARKS.create("imagenet256", row=row).backbone
    vae = vae or files["va_vae" if backbone.startswith("lightning") else "sd_vae"]
    given = [f"checkpoint={files[backbone]}", f"vae={vae}", f"reference={files['reference']}"]
    return ["run", f"benchmark={STAND_IN}", f"row={row}", *given, f"output={output}", "device=cpu", *more]


def record(output: Path) -> dict:
    (path,) = output.glob("*/record.json")
    return json.loads(path.read_text())


def evaluations(row: str) -> float:
    """Evaluations of the main network a sample, by hand: the times of the row's solver, and where CFG is on.

    Internal guidance costs none beside the conditional one; CFG one more where t is in its interval.
    """
    line, solver = (lambda b: (b.published_row, b.default_solver()))(gb.BENCHMARKS.create("imagenet256", row=row))
    high = {**{"high": 1.0}, **line.parameters}.get("cfg_high" if line.method == "ig_cfg" else "high", 1.0)
    if solver.name == "euler_maruyama":
        times = np.linspace(1, solver.last_step, solver.steps)
    else:
        data = np.linspace(0, 1, solver.steps + 1)
        times = 1 - solver.shift * data / (1 + (solver.shift - 1) * data)
        times = np.concatenate([times[:-1], times[1:]]) if solver.name == "heun" else times[:-1]
    return len(times) + (np.sum(times <= high) if line.method in ("cfg", "ig_cfg") else 0)


@pytest.mark.parametrize(
    "row", ["sit_xl_cfg", "sit_xl_ig_cfg", "repa_sit_xl_cfg", "lightningdit_xl_cfg", "lightningdit_xl_ig_cfg"]
)
def test_a_row_runs_end_to_end_with_its_own_solver(row, files, tmp_path):
    """All of the authors' steps, on stand-ins in the authors' forms; nothing is changed but the number of samples."""
    assert main(words(files, row, tmp_path, "benchmark.samples=4")) == 0
    made, benchmark = record(tmp_path), gb.BENCHMARKS.create("imagenet256", row=row)
    published, solver = benchmark.published_row, benchmark.default_solver()
    assert {"fid", "sfid", "inception_score", "precision", "recall"} <= set(made["metrics"])
    assert made["spec"]["solver"]["name"] == solver.name
    assert made["spec"]["solver"]["parameters"] == solver.parameters()
    assert made["spec"]["method"]["name"] == published.method
    assert {k: made["spec"]["method"]["parameters"][k] for k in published.parameters} == published.parameters
    assert made["spec"]["precision"] == "tf32" and made["spec"]["labels"] == published.labels
    rule = "round" if row.startswith("lightning") or row == "sit_xl_cfg" else "truncate"
    assert made["spec"]["benchmark"]["autoencoder"]["uint8_rule"] == rule
    assert made["cost"]["nfe"] == evaluations(row)
    assert made["evaluator"]["reference"]["kind"] == "statistics"


@pytest.mark.parametrize(
    ("row", "nfe"), [("sit_xl_cfg", 6), ("repa_sit_xl_none", 3), ("sit_xl_ig", 3)]
)  # three steps; two queries each; one
def test_taesd_decodes_in_sd_vaes_place_and_names_another_run(row, nfe, files, tmp_path):
    steps = ["solver=euler_maruyama", "solver.steps=3"]
    assert main(words(files, row, tmp_path / "a", *steps, vae=f"taesd:{files['taesd']}")) == 0
    assert main(words(files, row, tmp_path / "b", *steps)) == 0
    ours, theirs = record(tmp_path / "a"), record(tmp_path / "b")
    assert ours["cost"]["nfe"] == theirs["cost"]["nfe"] == nfe
    assert ours["run_id"] != theirs["run_id"] and ours["samples"]["digest"] != theirs["samples"]["digest"]
    names = [made["spec"]["benchmark"]["autoencoder"]["name"] for made in (ours, theirs)]
    assert names == ["taesd", "sd_vae_ema"]
    assert len(ours["spec"]["benchmark"]["autoencoder"]["weights"]) == 2  # encoder and decoder


@pytest.mark.parametrize("row", ["sit_xl_ig_cfg", "lightningdit_xl_ig"])
def test_one_process_and_two_give_the_same_samples_and_features(row, files, tmp_path):
    vae = f"taesd:{files['taesd']}" if row.startswith("sit") else ""
    solver = gb.BENCHMARKS.create("imagenet256", row=row).default_solver()
    steps = [f"solver={solver.name}", "solver.steps=2", *(["solver.shift=0.3"] if vae == "" else [])]
    made = []
    for processes in (1, 2):
        output = tmp_path / str(processes)
        run_command(words(files, row, output, *steps, vae=vae), tmp_path / f"{processes}.log", processes)
        made.append(record(output))
    assert made[0]["samples"]["digest"] == made[1]["samples"]["digest"]
    assert made[0]["metrics"] == made[1]["metrics"] and made[1]["environment"]["world_size"] == 2
    assert made[0]["run_id"] == made[1]["run_id"]


def in_the_cache(folder: Path, name: str, seed: int = 0) -> None:
    """A stand-in where the published checkpoint would be put."""
    known = known_checkpoints()[gb.BENCHMARKS.create("imagenet256").declared.backbones[name].checkpoint]
    place = wanted(known.name, folder).path
    place = place if place.suffix else place / "whatever-it-is-called.pt"
    stand_ins.checkpoint(place.parent, name, seed, place.name)


def test_all_rows_that_can_be_run_are_run_and_of_the_others_it_is_said_why(files, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GUIDANCE_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GUIDANCE_BENCH_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("repa_sit_xl", "sit_xl_ig", "lightningdit_xl_ig"):
        in_the_cache(tmp_path / "cache", name)
    given = [f"benchmark={STAND_IN}", "row=all", f"vae=taesd:{files['taesd']}", f"reference={files['reference']}"]
    given += ["solver=euler", "solver.steps=2", f"output={tmp_path / 'out'}", "device=cpu"]
    status = main(["run", *given])
    said = capsys.readouterr()
    assert status == 0, said
    left = {line.split()[1]: line for line in said.out.splitlines() if " is left out: " in line}
    records = [json.loads(path.read_text()) for path in (tmp_path / "out").glob("*/record.json")]
    rows = gb.BENCHMARKS.create("imagenet256").declared.rows
    ran = [name for name, row in rows.items() if row.backbone in ("repa_sit_xl", "sit_xl_ig")]
    assert len(ran) == 4 and set(left) == set(rows) - set(ran)
    assert sorted(r["spec"]["method"]["name"] for r in records) == sorted(rows[name].method for name in ran)
    assert "offline: download" in left["sit_xl_cfg"] and "SiT-XL-2-256x256.pt" in left["sit_xl_cfg"]
    assert "lightningdit-xl-imagenet256-800ep.pt" in left["lightningdit_xl_cfg_balanced"]
    assert "decodes 4 channels; 'lightningdit_xl_ig' makes 32" in left["lightningdit_xl_ig_cfg"]
    assert "no checkpoint of 'sit_b_ig' was published: give checkpoint=FILE" in left["sit_b_ig_w1_9"]
    assert main(["check", *given]) == 0
    assert capsys.readouterr().out.count("done already") == 4


def test_all_rows_of_one_backbone(files, tmp_path, capsys):
    given = [f"vae={files['sd_vae']}", f"reference={files['reference']}", f"output={tmp_path}", "device=cpu"]
    chosen = ["row=all", f"checkpoint={files['sit_xl_ig']}", "solver=euler", "solver.steps=2"]
    assert main(["run", f"benchmark={STAND_IN}", *chosen, *given]) == 2
    assert "give backbone=NAME with checkpoint=FILE" in capsys.readouterr().err
    assert main(["run", f"benchmark={STAND_IN}", "backbone=sit_xl_ig", *chosen, *given]) == 0
    made = [json.loads(path.read_text())["spec"]["method"]["name"] for path in tmp_path.glob("*/record.json")]
    assert sorted(made) == ["ig", "ig_cfg"]
    assert main(["run", f"benchmark={STAND_IN}", "backbone=sit_xl_gi", *chosen, *given]) == 2
    assert "did you mean 'sit_xl_ig'" in capsys.readouterr().err


def test_the_whole_solver_of_a_row_is_the_authors(files):
    solver = gb.BENCHMARKS.create("imagenet256", row="lightningdit_xl_ig_cfg").default_solver()
    assert (solver.name, solver.steps, solver.shift, solver.interval) == ("heun", 124, 0.3, "evaluation")
    solver = gb.BENCHMARKS.create("imagenet256", row="lightningdit_xl_cfg").default_solver()
    assert (solver.name, solver.steps, solver.shift) == ("euler", 249, 0.3)
    solver = gb.BENCHMARKS.create("imagenet256", row="sit_xl_ig_cfg").default_solver()
    assert (solver.name, solver.steps, solver.last_step) == ("euler_maruyama", 250, 0.04)


def test_5k_is_another_protocol_with_another_name(files):
    given = {"checkpoint": str(files["sit_xl"]), "vae": str(files["sd_vae"])}
    big, small = (gb.BENCHMARKS.create(n, **given) for n in ("imagenet256", "imagenet256_5k"))
    assert (big.samples, small.samples) == (50_000, 5000)
    assert set(small.metrics) - set(big.metrics) == {"fid_infinity"}  # FID of few samples is biased
    assert big.protocol()["name"] != small.protocol()["name"]


def test_any_method_on_a_rows_backbone(files, tmp_path):
    given = [f"checkpoint={files['sit_xl_ig']}", f"vae={files['sd_vae']}", f"reference={files['reference']}"]
    chosen = ["backbone=sit_xl_ig", "method=apg", "solver=euler", "solver.steps=2", f"output={tmp_path}"]
    assert main(["run", f"benchmark={STAND_IN}", *chosen, *given, "device=cpu"]) == 0
    made = record(tmp_path)
    assert made["spec"]["networks"]["main"]["name"] == "sit_xl_ig" and made["spec"]["method"]["name"] == "apg"
    assert "benchmark.backbone=sit_xl_ig" in made["command"] and "benchmark.checkpoint=" in made["command"]


def test_a_run_at_a_checkpoint_is_verified_and_reported(files, tmp_path, capsys):
    solver = ["solver=euler_maruyama", "solver.steps=3"]
    assert main(words(files, "sit_xl_ig_cfg", tmp_path / "out", *solver)) == 0
    (run,) = (path.parent for path in (tmp_path / "out").glob("*/record.json"))
    given = [f"output={tmp_path / 'out'}", f"benchmark={STAND_IN}", "device=cpu"]
    capsys.readouterr()
    assert main(["verify", str(run), "samples=5", *given]) == 0
    said = capsys.readouterr().out
    assert "8 made again, bit for bit" in said and "all 5 made again" in said
    assert main(["report", str(run), f"benchmark={STAND_IN}", f"output={tmp_path / 'report'}"]) == 0
    said = capsys.readouterr().out
    assert "not comparable with row sit_xl_ig_cfg" in said
    text = (tmp_path / "report" / "report.md").read_text()
    for line in ("solver steps: 3, published with 250", "N: 12, published with 50000", "checkpoint: a file"):
        assert line in text.replace("\\", "")
    assert "![" in text  # the grid of its samples


def test_names_do_not_hang_on_where_files_lie(files, tmp_path):
    moved = tmp_path / "elsewhere.pt"
    moved.write_bytes(files["sit_xl"].read_bytes())
    recipes = [
        gb.BENCHMARKS.create("imagenet256", checkpoint=str(p), vae=str(files["sd_vae"])).recipes(0)
        for p in (files["sit_xl"], moved)
    ]
    assert recipes[0] == recipes[1] and len(recipes[0]["main"]["sha256"]) == 64


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"row": "sit_xl"}, "unknown row 'sit_xl'"),
        ({"row": "sit_xl_cfg", "backbone": "lightningdit_xl"}, "is of backbone 'sit_xl'"),
    ],
)
def test_mistakes_name_the_way_out(given, said):
    with pytest.raises(UserError, match=said):
        gb.BENCHMARKS.create("imagenet256", **given)


def test_a_row_without_a_published_checkpoint_says_so():
    benchmark = gb.BENCHMARKS.create("imagenet256", row="sit_b_ig_w1_9")
    with pytest.raises(UserError, match="no checkpoint of 'sit_b_ig' was published: give checkpoint=FILE"):
        benchmark.recipes(0)


def test_rows_are_for_benchmarks_that_have_them(capsys):
    assert main(["run", "benchmark=digits", "row=sit_xl_cfg"]) == 2
    assert "benchmark 'digits' has no row= (imagenet256, imagenet256_5k" in capsys.readouterr().err


def test_a_wrong_declaration_is_refused_by_its_place(tmp_path):
    path = tmp_path / "mine.json"
    good = json.loads(
        (Path(gb.__file__).parents[1] / "benchmarks" / "imagenet256" / "benchmark.json").read_text(encoding="utf-8")
    )
    good["rows"]["sit_xl_cfg"]["labels"] = "sorted"
    path.write_text(json.dumps(good))
    with pytest.raises(UserError, match=r"rows\.sit_xl_cfg\.labels"):
        read_declaration(path)
    good["rows"]["sit_xl_cfg"].update(labels="random", backbone="nobody")
    other = tmp_path / "other.json"
    other.write_text(json.dumps(good))
    with pytest.raises(UserError, match="a backbone that is not declared: 'nobody'"):
        read_declaration(other)


def test_fid_of_the_stand_in_is_the_formula(files, tmp_path):
    """The run's FID is that of the kept samples' features against the file's mu and sigma, computed here."""
    from fake_features import FakeInception

    from guidance_bench.storage.sample_store import SampleStore

    solver = ["solver=euler", "solver.steps=2"]
    assert main(words(files, "lightningdit_xl_none", tmp_path, *solver)) == 0
    made = record(tmp_path)
    images = np.concatenate([s.images for s in SampleStore.open(tmp_path / made["run_id"])])
    mean, cov = gb.metrics.feature_statistics(FakeInception(True)(images)["features"])
    with np.load(files["reference"]) as reference:
        expected = gb.metrics.frechet_distance(reference["mu"], reference["sigma"], mean, cov)
    assert made["metrics"]["fid"]["mean"] == pytest.approx(expected, rel=1e-6)


def test_networks_that_were_trained_here_are_named_by_recipe_and_hash(files, tmp_path):
    network = gb.BACKBONES.create("sit", input_size=8, hidden_size=16, depth=1, num_heads=2, num_classes=1000).build()
    places = {name: tmp_path / f"{name}.safetensors" for name in ("sit_xl_2_ig", "sit_b_2")}
    for name, place in places.items():
        save_backbone(network, place, Origin(recipe=name, data="latents@1", training="0" * 12, steps=7, ema=0.5))
    main_file, weak_file = map(str, places.values())
    given = {"backbone": main_file, "weak": weak_file, "vae": str(files["sd_vae"])}
    found = gb.BENCHMARKS.create("imagenet256", **given).recipes(0)
    assert [found[role]["recipe"] for role in ("main", "weak")] == list(places)
    assert all(known["steps"] == 7 and len(known["sha256"]) == 64 for known in found.values())
    published = gb.BENCHMARKS.create("imagenet256", backbone="sit_xl", checkpoint=str(files["sit_xl"])).recipes(0)
    assert set(published["main"]) == {"backbone", "name", "sha256", "settings"}  # as before, so names stay
