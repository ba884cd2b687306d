"""What a method measures before it guides: once for a network, named in the record, by content and not by path."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import commands
import pytest
import torch
from guidance_bench.methods.recfg_table import load_table, make_table

import guidance_bench as gb
from guidance_bench.cli.main import main
from guidance_bench.experiments.records import read_records
from guidance_bench.guidance.composition import Interval, Sum
from guidance_bench.guidance.prepass import Prepass


def run(output: Path, *more: str, method: str = "recfg") -> list[dict]:
    commands.run(commands.tiny(output, *more, method=method), output.parent / "log")
    return read_records(output)


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("prepass") / "out"
    run(output, "method.table=measured", "method.scale=1.3")
    return output


def table_of(output: Path) -> Path:
    (table,) = output.glob("prepass/*/table.safetensors")
    return table


def test_a_run_measures_the_table_and_its_record_says_so(measured):
    (record,) = read_records(measured)
    assert record["spec"]["method"]["parameters"] == {"scale": 1.3, "table": "measured"}
    facts = json.loads((table_of(measured).parent / "table.json").read_text())
    assert record["prepass"] == {k: facts[k] for k in ("table_sha256", "evaluations", "seconds")}
    assert facts["evaluations"] == 2 * 21 * 1797 and facts["seconds"] > 0
    times, ratios = load_table(str(table_of(measured)))
    assert times.shape == (21,) and ratios.shape == (21, 10, 1, 8, 8)
    torch.testing.assert_close(ratios[0], torch.ones_like(ratios[0]), atol=0.01, rtol=0)  # at t = 1 eps is x


def test_the_table_is_measured_once_for_all_scales(measured):
    before = table_of(measured).stat().st_mtime_ns
    records = run(measured, "method.table=measured", "method.scale=1.6")
    assert len({record["prepass"]["table_sha256"] for record in records}) == 1
    assert table_of(measured).stat().st_mtime_ns == before


def test_a_damaged_table_is_refused_in_one_line(measured, tmp_path, capsys):
    copy = tmp_path / "out"
    shutil.copytree(measured, copy)
    content = bytearray(table_of(copy).read_bytes())
    content[-1] ^= 1
    table_of(copy).write_bytes(content)
    assert main(commands.tiny(copy, "method.table=measured", "method.scale=1.4", method="recfg")) == 2
    assert "does not fit its table.json" in capsys.readouterr().err


def test_a_run_is_named_by_the_tables_content(measured, tmp_path):
    paths = [tmp_path / name for name in ("a.safetensors", "b.safetensors")]
    for path in paths:
        shutil.copy(table_of(measured), path)
    same = [gb.METHODS.create("recfg", table=str(path)).identity() for path in paths]
    assert same[0] == same[1] and same[0]["table"].startswith("sha256:")
    toy = gb.BACKBONES.create("toy", num_classes=2).build()
    make_table(paths[1], toy, torch.randn(4, 2, 1, 1), torch.tensor([0, 1, 0, 1]), times=(0.2, 0.6))
    other = gb.METHODS.create("recfg", table=str(paths[1]))
    assert other.identity() != same[0]
    inside = Interval(other, 0.1, 0.9).identity()
    assert inside["methods"] == [{"name": "recfg", "parameters": other.identity()}]


def test_a_tables_numbers_are_those_that_were_measured(measured, tmp_path):
    """The same samples whether a run measures the table or is given it."""
    path = tmp_path / "given.safetensors"
    shutil.copy(table_of(measured), path)
    records = run(measured, f"method.table={path}", "method.scale=1.3")
    digests = [r["samples"]["digest"] for r in records if r["spec"]["method"]["parameters"]["scale"] == 1.3]
    assert len(digests) == 2 and digests[0] == digests[1]


def test_a_composition_prepares_what_is_inside(tmp_path):
    class Measuring(gb.Guidance):
        name = "measuring"
        scale: float = 1.0

        def guide(self, step, query):
            return (yield query)

        def prepare(self, prepass):
            prepass.folder.mkdir(parents=True)
            return gb.METHODS.create("cfg", scale=3.0), {"found": 3.0}

    prepass = Prepass(gb.BACKBONES.create("toy").build(), lambda: None, tmp_path)
    ready, facts = Sum((gb.METHODS.create("cfg"), Interval(Measuring(), 0.1, 0.9))).prepare(prepass)
    assert facts == {"interval": {"measuring": {"found": 3.0}}}
    assert (tmp_path / "interval" / "measuring").is_dir()
    assert ready.methods[1].method.scale == 3.0 and ready.methods[1].low == 0.1
    assert ready.methods[0].scale == gb.METHODS.create("cfg").scale


@pytest.mark.parametrize(
    ("table", "says"),
    [("missing.safetensors", "table=measured measures one in a run"), ("measured", "`guidance-bench run`")],
)
def test_in_python_a_table_must_be_there(table, says):
    toy = gb.BACKBONES.create("toy", num_classes=2).build()
    with pytest.raises(gb.UserError, match=says):
        gb.sample(
            toy,
            gb.METHODS.create("recfg", table=table),
            "euler",
            labels=torch.tensor([0]),
            noise=torch.zeros(1, 2, 1, 1),
        )


def test_what_is_no_table_is_refused(tmp_path):
    wrong = tmp_path / "wrong.safetensors"
    wrong.write_bytes(b"no table")
    with pytest.raises(gb.UserError, match="is no table that make_table wrote"):
        load_table(str(wrong))


def test_a_benchmark_without_training_data_says_so():
    class Bare(gb.Benchmark):
        name = "bare"

    with pytest.raises(gb.UserError, match="benchmark 'bare' has no training data"):
        gb.Benchmark.training_data(Bare)
