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

STAND_IN = str(Path(stand_ins.__file__))


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("official")
    (folder / "sd").mkdir()
    (folder / "va").mkdir()
    found = {name: stand_ins.checkpoint(folder, name) for name in stand_ins.FORMS}
    found["sd_vae"] = stand_ins.kl_autoencoder(folder / "sd", 4, 4)
    found["va_vae"] = stand_ins.kl_autoencoder(folder / "va", 5, 32)
    found["reference"] = stand_ins.adm_reference(folder)
    return found


def words(files, row, output, *more) -> list[str]:
    backbone = gb.BENCHMARKS.create("imagenet256", row=row).backbone
    vae = files["va_vae" if backbone.startswith("lightning") else "sd_vae"]
    given = [f"checkpoint={files[backbone]}", f"vae={vae}", f"reference={files['reference']}"]
    return ["run", f"benchmark={STAND_IN}", f"row={row}", *given, f"output={output}", "device=cpu", *more]


def record(output: Path) -> dict:
    (path,) = output.glob("*/record.json")
    return json.loads(path.read_text())


@pytest.mark.parametrize(
    ("row", "solver", "nfe"),
    [
        ("sit_xl_cfg", ["solver=euler_maruyama", "solver.steps=3"], 6),
        ("sit_xl_ig_cfg", ["solver=euler_maruyama", "solver.steps=3"], 5),  # t <= 0.7: two
        ("lightningdit_xl_cfg", ["solver=euler", "solver.steps=3", "solver.shift=0.3"], 5),  # t <= 0.875: two
        ("lightningdit_xl_ig_cfg", ["solver=heun", "solver.steps=2", "solver.shift=0.3"], 7),  # t <= 0.81: three
    ],
)
def test_a_row_runs_end_to_end(row, solver, nfe, files, tmp_path):
    assert main(words(files, row, tmp_path, *solver)) == 0
    made = record(tmp_path)
    assert {"fid", "sfid", "inception_score", "precision", "recall"} <= set(made["metrics"])
    published = gb.BENCHMARKS.create("imagenet256", row=row).published_row
    assert made["spec"]["method"]["name"] == published.method
    assert {k: made["spec"]["method"]["parameters"][k] for k in published.parameters} == published.parameters
    assert made["spec"]["precision"] == "tf32" and made["spec"]["labels"] == published.labels
    rule = "round" if row.startswith("lightning") or row == "sit_xl_cfg" else "truncate"
    assert made["spec"]["benchmark"]["autoencoder"]["uint8_rule"] == rule
    assert made["cost"]["nfe"] == nfe
    assert made["evaluator"]["reference"]["kind"] == "statistics"


def test_one_process_and_two_give_the_same_samples_and_features(files, tmp_path):
    solver = ["solver=heun", "solver.steps=2", "solver.shift=0.3"]
    made = []
    for processes in (1, 2):
        output = tmp_path / str(processes)
        run_command(words(files, "lightningdit_xl_ig", output, *solver), tmp_path / f"{processes}.log", processes)
        made.append(record(output))
    assert made[0]["samples"]["digest"] == made[1]["samples"]["digest"]
    assert made[0]["metrics"] == made[1]["metrics"] and made[1]["environment"]["world_size"] == 2
    assert made[0]["run_id"] == made[1]["run_id"]


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
