"""The page of the published rows is made of their declaration; a plug-in declares a benchmark in the same form."""

from __future__ import annotations

import json
from pathlib import Path

import stand_ins
from published_table import PAGE, page

import guidance_bench as gb
from guidance_bench.cli.main import main

PLUGIN = """
from typing import ClassVar

from stand_ins import StandIn

from guidance_bench.experiments.benchmark import register_benchmark


@register_benchmark("mine")
class Mine(StandIn):
    file: ClassVar[str] = "mine.json"
"""


def test_the_page_is_that_of_the_declaration():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python tests/helpers/published_table.py"


def test_every_row_stands_on_the_page_with_its_number_and_no_measured_one():
    text = PAGE.read_text(encoding="utf-8")
    for name, row in gb.BENCHMARKS.create("imagenet256").declared.rows.items():
        (line,) = [line for line in text.splitlines() if line.startswith(f"| `{name}` |")]
        assert f"| {row.numbers['fid']:.2f} |" in line and "none yet |" in line


def test_a_plugin_declares_its_own_rows(tmp_path):
    """A class of three lines and a JSON file; numbers, protocol and backbones are the file's."""
    declared = json.loads((PAGE.parent / "benchmark.json").read_text(encoding="utf-8"))
    path = stand_ins.checkpoint(tmp_path, "sit_xl")
    vae, reference = stand_ins.kl_autoencoder(tmp_path, 4, 4), stand_ins.adm_reference(tmp_path)
    backbone = {**declared["backbones"]["sit_xl"], "checkpoint": str(path)}
    backbone["autoencoder"] = {"name": "sd_vae_ema", "parameters": {"source": str(vae), "uint8_rule": "round"}}
    backbone["solver"] = {"name": "euler", "parameters": {"steps": 2}}
    row = {**declared["rows"]["sit_xl_cfg"], "backbone": "small", "numbers": {"fid": 12.5}, "version": "v3"}
    protocol = {**declared["protocol"], "reference": str(reference), "samples": 12}
    own = {"protocol": protocol, "backbone": "small", "backbones": {"small": backbone}, "rows": {"my_row": row}}
    (tmp_path / "mine.json").write_text(json.dumps(own))
    (tmp_path / "mine.py").write_text(PLUGIN)
    words = [f"benchmark={tmp_path / 'mine.py'}", "row=my_row", f"output={tmp_path / 'out'}", "device=cpu"]
    assert main(["check", *words]) == 0
    assert main(["run", *words]) == 0
    (record,) = [json.loads(p.read_text()) for p in Path(tmp_path / "out").glob("*/record.json")]
    assert (
        record["spec"]["solver"]["parameters"]["steps"] == 2 and record["spec"]["method"]["parameters"]["scale"] == 1.5
    )
    assert main(["report", str(tmp_path / "out"), f"benchmark={tmp_path / 'mine.py'}", f"output={tmp_path / 'r'}"]) == 0
    text = (tmp_path / "r" / "report.md").read_text()
    assert "row my" in text and "12.5" in text and "not comparable" in text
