"""A record altered by hand is found although its seal was made anew; an honest one passes; another machine is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import guidance_bench as gb
from guidance_bench.cli.main import main
from guidance_bench.core.identity import short_hash
from guidance_bench.experiments.evidence import block_digest, pixels_sha256, read_witness, witness_path
from guidance_bench.experiments.records import read_record, seal
from guidance_bench.leaderboard.submit import submit
from guidance_bench.report.claims import witness
from guidance_bench.storage.files import read_json
from guidance_bench.storage.image_files import read_sheet, write_sheet
from guidance_bench.storage.sample_store import SampleStore, Shard

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
    return main(["verify", str(path), f"benchmark={TINY}", *words])  # in the output folder that it lies in


@pytest.mark.parametrize("samples", ["64", "1", "all"])
def test_an_honest_record_passes(made, samples, capsys):
    assert verify(made, f"samples={samples}") == 0
    said = capsys.readouterr().out
    assert said.count("\nok ") == 8 and "differs" not in said.replace("nothing differs", "")
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


def elsewhere(record):
    """As another machine would have made it: other bits, another device."""
    record["environment"]["device"] = "another machine"
    record["samples"]["blocks"] = ["0" * 16] * 6
    record["samples"]["digest"] = "0" * 64


def test_another_machine_is_no_fault_of_the_record(made, tmp_path, capsys):
    path = alter(made, tmp_path, elsewhere, samples=False)
    (path.parent / "witness.png").unlink()
    assert verify(path, "samples=10") == 0
    said = capsys.readouterr().out
    assert "not checked  witness" in said
    assert "not checked  samples        10 made again: not those of the record; no samples of the record" in said
    assert "made with another device" in said


@pytest.mark.parametrize(("levels", "status", "mean"), [(1, 0, "0.0016"), (4, 1, "0.0063")])
def test_samples_of_another_machine_are_held_to_those_that_it_kept(made, tmp_path, levels, status, mean, capsys):
    """One value of the first ten images (of 64 values each) is off: in the mean by 1/640 grey level for each level."""

    def change(record):
        elsewhere(record)
        first = read_sheet(made.with_name("witness.png"))
        first[3, 0, 0] ^= levels
        (tmp_path / "other").mkdir()
        write_sheet(tmp_path / "other" / "witness.png", first)
        record["samples"]["witness"] = pixels_sha256(first)

    path = alter(made, tmp_path, change, samples=False)
    shutil.copy(tmp_path / "other" / "witness.png", path.parent)
    assert verify(path, "samples=10") == status
    said = capsys.readouterr().out
    assert f"10 made again, 10 beside the first ones that the record keeps: largest difference {levels} of 255" in said
    assert f"mean {mean}; {'more' if status else 'no more'} than 0.005 in the mean, what rounding does in fp32" in said


def test_a_few_samples_that_are_not_those_of_the_record_are_found(made, tmp_path, capsys):
    path = alter(made, tmp_path, elsewhere, samples=False)
    write_sheet(path.parent / "witness.png", 255 - read_sheet(made.with_name("witness.png")))
    assert verify(path, "samples=10") == 1
    assert "differs      witness" in capsys.readouterr().out
    with pytest.raises(gb.UserError, match="does not hold the samples that the record names"):
        submit(path.parent.parent, "tiny", tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_a_run_of_this_machine_does_not_stand_for_another_machines(made, tmp_path, capsys):
    """The store of the same run made here is not the record's: no difference of nought is told."""
    path = alter(made, tmp_path, elsewhere)
    (path.parent / "witness.png").unlink()
    assert verify(path, "samples=10") == 0
    assert "no samples of the record are at hand" in capsys.readouterr().out


def test_networks_trained_again_with_other_bits_are_no_rounding(made, tmp_path, capsys):
    def change(record):
        elsewhere(record)
        record["networks"]["main"]["sha256"] = "0" * 64

    path = alter(made, tmp_path, change, samples=False)
    assert verify(path, "samples=10") == 0
    assert "(by networks that were trained again)" in capsys.readouterr().out


def test_all_made_again_are_held_to_the_record_and_not_to_what_is_stored(made, tmp_path, capsys):
    """A record and a store that agree with each other, and not with what the run makes."""
    path = alter(made, tmp_path, lambda record: None)
    store = SampleStore.open(path.parent)
    for shard in list(store):
        store.write(Shard(shard.start, shard.stop, 255 - shard.images, shard.labels, shard.cost))
    record = read_json(path)
    record["samples"]["digest"] = store.digest(full=True)
    record["samples"]["blocks"] = [block_digest(shard) for shard in store]
    path.write_text(json.dumps(seal(record)))
    assert verify(path, "samples=all") == 1
    assert "differs      samples        60 made again, 60 beside those stored here" in capsys.readouterr().out


def test_what_a_record_keeps_goes_with_it_into_a_collection(made, tmp_path):
    folder = submit(made.parent.parent, "tiny", tmp_path / "results")
    record = read_record(made)
    (kept,) = (folder / "witnesses").iterdir()
    assert kept.stem == record["samples"]["witness"][:16]
    committed = folder / "records" / f"{record['run_id']}.json"
    first = read_witness(read_record(committed), witness_path(record, committed))
    assert np.array_equal(first, SampleStore.open(made.parent).read(0, 10).images)
    assert [check.verdict for check in witness(record, committed)] == ["ok"]


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


def test_an_altered_copy_of_a_committed_record_is_found_without_its_samples():
    from guidance_bench.report.claims import project_record

    file = sorted((Path(gb.__file__).parents[1] / "benchmarks/results/digits_full/records").glob("*.json"))[0]
    record = read_json(file)
    assert project_record(record).verdict == "not checked"  # a copy is no run of one's own
    told = record["metrics"]["frechet_distance_digits_cnn"]["mean"]
    for share, verdict in ((0, "ok"), (1e-9, "ok"), (1e-5, "differs")):  # sums in another order, and more than that
        value = told * (1 + share)
        record["metrics"]["frechet_distance_digits_cnn"].update(values=[value], mean=value)
        assert project_record(seal({**record, "time": "2030-01-01T00:00:00Z"})).verdict == verdict
    record["metrics"]["frechet_distance_digits_cnn"].update(values=[2.5], mean=2.5)
    found = project_record(seal(record))
    assert found.verdict == "differs" and f"is {told:.6g} there, 2.5 here" in found.words
    record["samples"]["digest"] = "0" * 64
    found = project_record(seal(record))
    assert found.verdict == "not checked" and "samples with other bits" in found.words
    assert f"FD (digits CNN) ↓ {told:.4f} ({told - 2.5:+.2g})" in found.words


def test_samples_of_another_machine_are_held_to_rounding(made, tmp_path, capsys):
    """A grey level more or less is rounding; forty are not, and metrics of them must be those of the record."""
    for levels, status in ((1, 0), (40, 1)):
        path = alter(made, tmp_path / str(levels), lambda record: None)
        store = SampleStore.open(path.parent)
        for shard in list(store):
            images = shard.images.copy()
            images[0, 0, 0] ^= levels
            store.write(Shard(shard.start, shard.stop, images, shard.labels, shard.cost))
        record = read_json(path)
        record["samples"] = {**record["samples"], "digest": store.digest(full=True)}
        del record["samples"]["blocks"]
        record["environment"]["device"] = "another machine"
        path.write_text(json.dumps(seal(record)))
        assert verify(path, "samples=20") == status
        said = capsys.readouterr().out
        assert ("; no more than 0.005" in said) == (status == 0) and ("; more than 0.005" in said) == (status == 1)
