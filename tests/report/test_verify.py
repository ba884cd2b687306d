"""A record altered by hand is found although its seal was made anew; an honest one passes; another machine is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import guidance_bench as gb
from guidance_bench.cli.main import main
from guidance_bench.core.identity import short_hash
from guidance_bench.experiments.records import seal
from guidance_bench.storage.files import read_json

TINY = Path(__file__).parents[1] / "helpers" / "tiny_benchmark.py"
FD = "frechet_distance_pixels"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("verify") / "out"
    assert main(["run", f"benchmark={TINY}", "method=cfg", "method.scale=1.5", f"output={output}"]) == 0
    return next(output.glob("*/record.json"))


def alter(made: Path, folder: Path, change, samples: bool = True) -> Path:
    """A copy of the whole output whose record was changed and sealed anew."""
    output = folder / "out"
    shutil.copytree(made.parent.parent, output)
    path = output / made.parent.name / "record.json"
    record = read_json(path)
    change(record)
    record["run_id"] = short_hash(record["spec"])
    path.write_text(json.dumps(seal(record)))
    if not samples:
        shutil.rmtree(path.parent / "samples")
    return path


def verify(path: Path, *words: str) -> int:
    return main(["verify", str(path), f"benchmark={TINY}", f"output={path.parent.parent}", *words])


@pytest.mark.parametrize("samples", ["64", "1", "all"])
def test_an_honest_record_passes(made, samples, capsys):
    assert verify(made, f"samples={samples}") == 0
    said = capsys.readouterr().out
    assert said.count("\nok ") == 7 and "differs" not in said.replace("nothing differs", "")
    assert f"{ {'64': 60, '1': 10, 'all': 60}[samples] } made again, bit for bit" in said


def test_without_its_samples_a_part_is_made_again_and_the_metrics_are_not(made, tmp_path, capsys):
    path = alter(made, tmp_path, lambda record: None, samples=False)
    assert verify(path, "samples=20") == 0
    said = capsys.readouterr().out
    assert "20 made again, bit for bit" in said and "nothing differs; not checked: metrics\n" in said
    assert not (path.parent / "samples").exists()
    assert verify(path, "samples=all") == 0
    assert "all 1 made again" in capsys.readouterr().out


@pytest.mark.parametrize("samples", [True, False])
def test_a_metric_altered_and_sealed_anew_is_found(made, tmp_path, samples, capsys):
    def better(record):
        metric = record["metrics"][FD]
        metric["mean"] = metric["values"][0] = 0.9 * metric["mean"]

    path = alter(made, tmp_path, better, samples)
    assert verify(path, "samples=all") == 1
    said = capsys.readouterr().out
    assert f"differs      metrics        {FD} is" in said and "does not hold what it says" in said


def test_altered_digests_are_found(made, tmp_path, capsys):
    path = alter(made, tmp_path, lambda r: r["samples"].update(blocks=["0" * 16] * 6), samples=False)
    assert verify(path, "samples=10") == 1
    assert "differs      samples" in capsys.readouterr().out


def test_an_altered_specification_names_other_samples(made, tmp_path, capsys):
    path = alter(made, tmp_path, lambda r: r["spec"]["method"]["parameters"].update(scale=1.7), samples=False)
    assert verify(path, "samples=10") == 1  # its digests are those of scale 1.5
    assert "differs      samples" in capsys.readouterr().out


def test_a_protocol_that_this_program_does_not_have_is_said(made, tmp_path, capsys):
    path = alter(made, tmp_path, lambda r: r["spec"]["benchmark"].update(version=7))
    assert verify(path) == 1
    assert "benchmark.version: 1 here, 7 in the record" in capsys.readouterr().out


def test_another_machine_is_no_fault_of_the_record(made, tmp_path, capsys):
    def elsewhere(record):
        record["environment"]["device"] = "another machine"
        record["samples"]["blocks"] = ["0" * 16] * 6

    path = alter(made, tmp_path, elsewhere, samples=False)
    assert verify(path, "samples=10") == 0
    said = capsys.readouterr().out
    assert "not checked  samples" in said and "made with another device" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["samples=0"], "neither a number"),
        (["samples=many"], "neither a number"),
        (["nothing.json"], "one record"),
        (["sample=3"], "unknown option"),
    ],
)
def test_wrong_words(made, words, message, capsys):
    assert main(["verify", str(made), *words]) == 2
    assert message in capsys.readouterr().err


def test_a_record_that_is_not_there(tmp_path, capsys):
    assert main(["verify", str(tmp_path / "record.json")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_committed_records_can_be_rebuilt():
    """Every committed record names its run again from what is rebuilt of it; no network is needed."""
    import torch

    from guidance_bench.report.rebuild import rebuild

    for path in sorted((Path(gb.__file__).parents[1] / "benchmarks/results/digits_full/records").glob("*.json"))[:20]:
        record = read_json(path)
        runner, setting = rebuild(record, "outputs", torch.device("cpu"))
        assert runner.specify(setting, record["spec"]["seed"]).run_id == record["run_id"]


def test_numbers_that_do_not_follow_from_each_other_are_found(made, tmp_path, capsys):
    def change(record):
        record["cost"]["images_per_second"] *= 2
        record["metrics"][FD]["mean"] *= 1.01

    assert verify(alter(made, tmp_path, change), "samples=1") == 1
    said = capsys.readouterr().out
    assert f"differs      arithmetic     do not follow from its other numbers: {FD}, cost.images_per_second" in said


def test_an_altered_copy_of_a_committed_record_is_found_without_its_samples(tmp_path):
    from guidance_bench.report.claims import project_record

    file = sorted((Path(gb.__file__).parents[1] / "benchmarks/results/digits_full/records").glob("*.json"))[0]
    record = read_json(file)
    assert project_record(record, tmp_path / "mine.json").verdict == "ok"
    told = record["metrics"]["frechet_distance_digits_cnn"]["mean"]
    record["metrics"]["frechet_distance_digits_cnn"].update(values=[2.5], mean=2.5)
    found = project_record(seal(record), tmp_path / "mine.json")
    assert found.verdict == "differs" and f"is {told:.6g} there, 2.5 here" in found.words
    assert project_record(record, file).verdict == "not checked"


def test_samples_of_another_machine_are_held_to_rounding(made, tmp_path, capsys):
    """A grey level more or less is rounding; forty are not, and metrics of them must be those of the record."""
    from guidance_bench.storage.sample_store import SampleStore, Shard

    for levels, status in ((1, 0), (40, 1)):
        path = alter(made, tmp_path / str(levels), lambda record: None)
        store = SampleStore.open(path.parent)
        for shard in list(store):
            images = shard.images.copy()
            images[:, 0, 0] = (images[:, 0, 0].astype(int) + levels) % 256
            store.write(Shard(shard.start, shard.stop, images, shard.labels, shard.cost))
        record = read_json(path)
        record["samples"] = {**record["samples"], "digest": store.digest(full=True)}
        del record["samples"]["blocks"]
        record["environment"]["device"] = "another machine"
        path.write_text(json.dumps(seal(record)))
        assert verify(path, "samples=20") == status
        said = capsys.readouterr().out
        assert ("to rounding" in said) == (status == 0) and ("more than rounding" in said) == (status == 1)
