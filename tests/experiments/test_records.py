"""Records: schema, validation, and the data frame."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

import guidance_bench as gb
from guidance_bench.core.identity import canonical, canonical_of_parts, once, short_hash
from guidance_bench.experiments import records as records_module
from guidance_bench.experiments.records import (
    committed_results,
    metric_values,
    read_record,
    read_records,
    seal,
    write_record,
)
from guidance_bench.experiments.specification import RunSpec, protocol_of
from guidance_bench.storage.files import write_json


def spec(**changes) -> RunSpec:
    values = {
        "benchmark": {"name": "digits", "version": 1, "parameters": {"train_steps": 10}},
        "networks": {"main": {"backbone": "sit", "seed": 0, "steps": 10}, "weak": {"backbone": "sit", "seed": 0}},
        "method": {"name": "ig", "parameters": {"scale": 1.7, "tap": None}, "plugin_sha256": None},
        "solver": {"name": "euler", "parameters": {"steps": 4, "shift": 0.0}},
        "labels": "balanced",
        "samples": 8,
        "block": 4,
        "precision": "fp32",
        "metrics": ("frechet_distance",),
        "seed": 0,
    }
    return RunSpec(**{**values, **changes})


def record(run: RunSpec | None = None, fd: float = 2.0) -> dict:
    run = run or spec()
    return {
        "schema": 1,
        "run_id": run.run_id,
        "spec": run.as_dict(),
        "metrics": {"frechet_distance_digits_cnn": metric_values([fd])},
        "evaluator": {"name": "digits_cnn"},
        "networks": {},
        "cost": {"nfe": 4.0, "seconds": 0.5},
        "samples": {"count": 8, "digest": "0" * 64},
        "environment": {"device": "CPU"},
        "command": "guidance-bench run",
        "time": "2026-01-01T00:00:00Z",
    }


def test_the_run_id_is_the_hash_of_the_canonical_specification():
    assert spec().run_id == short_hash(json.loads(json.dumps(spec().as_dict())))
    assert len(spec().run_id) == 12
    other = {"name": "ig", "parameters": {"scale": 1.8, "tap": None}, "plugin_sha256": None}
    assert spec(method=other).run_id != spec().run_id
    assert spec(seed=1).run_id != spec().run_id


def test_the_text_of_a_whole_is_that_of_its_parts():
    whole = spec().as_dict() | {'odd "key"\n\u2028': [1.5, None]}
    assert canonical_of_parts({key: canonical(value) for key, value in whole.items()}) == canonical(whole)


def test_once_computes_each_value_once_and_tells_types_apart():
    asked = []
    told = once(lambda value: asked.append(value) or repr(value))
    values = [{"a": 1}, {"a": 1.0}, {"a": True}, {"a": "1"}, {"a": 0.0}, {"a": -0.0}, [], {}, None]
    for _ in range(2):
        assert [told(json.loads(json.dumps(value))) for value in values] == [repr(value) for value in values]
    assert len(asked) == len(values)


def test_rows_may_share_a_table_if_only_method_and_seed_differ():
    reseeded = {"main": {"backbone": "sit", "seed": 5, "steps": 10}, "weak": {"backbone": "sit", "seed": 5}}
    same = spec(seed=5, networks=reseeded, method={"name": "none", "parameters": {}, "plugin_sha256": None})
    assert protocol_of(same.as_dict()) == protocol_of(spec().as_dict())
    assert protocol_of(spec(labels="random").as_dict()) != protocol_of(spec().as_dict())
    assert protocol_of(spec(samples=9).as_dict()) != protocol_of(spec().as_dict())


def test_a_record_is_read_back_as_it_was_written(tmp_path):
    path = tmp_path / "x" / "record.json"
    written = write_record(path, record())
    assert read_record(path) == written == seal(record())


def test_metric_values_keep_every_draw():
    assert metric_values([3.0]) == {"values": [3.0], "mean": 3.0, "sd": None}
    assert metric_values([1.0, 2.0, 3.0]) == {"values": [1.0, 2.0, 3.0], "mean": 2.0, "sd": 1.0}


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_number_that_is_not_finite_is_never_written(tmp_path, bad):
    with pytest.raises(ValueError):
        write_record(tmp_path / "record.json", record(fd=bad))
    assert list(tmp_path.iterdir()) == []


def spoil(path: Path, change) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r["metrics"]["frechet_distance_digits_cnn"].update(mean=1.0), "sha256 does not fit"),
        (lambda r: r["spec"].update(seed=7), "run_id does not name"),
        (lambda r: r.pop("cost"), "cost: field required"),
        (lambda r: r.update(schema=99), "schema 99"),
        (lambda r: r["metrics"].update(fid={"values": ["2.1"], "mean": "2.1"}), "values.0: input should be a valid"),
        (lambda r: r["metrics"].update(fid={"values": [], "mean": 1.0}), "fid.values: list should have at least 1"),
    ],
)
def test_an_altered_record_is_refused_by_name(tmp_path, change, message):
    path = tmp_path / "record.json"
    write_record(path, record())
    spoil(path, change)
    with pytest.raises(gb.UserError) as error:
        read_record(path)
    assert message in str(error.value) and str(path) in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00\xff", '{"schema": 1}'])
def test_what_is_not_a_record_is_refused(tmp_path, text):
    path = tmp_path / "record.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(gb.UserError, match=r"record\.json"):
        read_record(path)


def test_load_results_gives_one_row_a_record_with_numbers_as_numbers(tmp_path):
    runs = [spec(seed=s) for s in (0, 1)]
    for run, fd in zip(runs, (2.0, 3.0), strict=True):
        write_record(tmp_path / run.run_id / "record.json", record(run, fd))
    frame = gb.load_results(tmp_path).sort_values("seed")
    assert list(frame["frechet_distance_digits_cnn"]) == [2.0, 3.0]
    assert list(frame["method"]) == ["ig", "ig"] and list(frame["backbone"]) == ["sit", "sit"]
    assert list(frame["method.scale"]) == [1.7, 1.7] and frame["parameters"].iloc[0]["scale"] == 1.7
    assert frame["protocol"].nunique() == 1 and list(frame["cost.nfe"]) == [4.0, 4.0]
    with pytest.raises(gb.UserError, match="does not exist"):
        gb.load_results(tmp_path / "nowhere")


def test_the_projects_own_records_are_sound_and_named_by_what_they_compute():
    folder = Path(gb.__file__).parent.parent / "benchmarks" / "results"
    assert folder.is_dir()
    for path in folder.rglob("records/*.json"):
        record = read_record(path)
        assert path.stem in (record["run_id"], f"{record['run_id']}-{record['sha256'][:8]}")
    assert len(gb.load_results()) == len(list(folder.rglob("records/*.json")))


def test_ten_thousand_records_take_less_than_the_libraries_that_read_them():
    """Equal words and parts of records are one object: 5 kB a record of 4 kB of JSON; 16 kB if each had its own."""
    folder = committed_results() / "digits_pilot"
    read_record(next(folder.rglob("records/*.json")))
    tracemalloc.start()
    records = read_records(folder)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(records) > 100 and kept / len(records) < 6_500


def test_equal_parts_of_records_are_one_object_and_others_are_not(tmp_path):
    for seed, version in enumerate((1, 1, 2)):
        run = spec(seed=seed, benchmark={"name": "digits", "version": version, "parameters": {"train_steps": 10}})
        write_record(tmp_path / run.run_id / "record.json", record(run))
    one, same, other = sorted(read_records(tmp_path), key=lambda r: r["spec"]["seed"])
    assert one["environment"] is same["environment"] is other["environment"]
    assert one["spec"]["benchmark"] is same["spec"]["benchmark"]
    assert other["spec"]["benchmark"]["version"] == 2 and one["spec"]["benchmark"]["version"] == 1


def test_a_part_that_only_seems_equal_keeps_its_own_text(tmp_path):
    """1, 1.0 and true are equal to Python, but not in JSON."""
    for place, threads in enumerate((1, 1.0, True, -0.0, 0.0)):
        sealed = seal(record(spec(seed=place)) | {"environment": {"device": "CPU", "threads": threads}})
        write_json(tmp_path / sealed["run_id"] / "record.json", sealed)
    found = sorted(read_records(tmp_path), key=lambda r: r["spec"]["seed"])
    assert [repr(r["environment"]["threads"]) for r in found] == ["1", "1.0", "True", "-0.0", "0.0"]
    assert [seal(r)["sha256"] for r in found] == [r["sha256"] for r in found]


def test_what_records_share_is_put_into_words_once(monkeypatch):
    """Encoding is what reading costs: the parts of a run's own each, those of a thousand runs once."""
    encoded = Counter()

    def counting(value):
        encoded[type(value)] += 1
        return canonical(value)

    monkeypatch.setattr(records_module, "canonical", counting)
    records = read_records(committed_results() / "digits_pilot")
    assert encoded[dict] < 4.2 * len(records)  # method, metrics, cost, samples


def test_records_are_read_without_torch():
    program = "import sys, guidance_bench as gb; print(len(gb.load_results()), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(list(committed_results().rglob("records/*.json")))), "False"]
