"""Damaged and hostile records: refused in one line, or harmless in every format."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from record_fuzz import assert_harmless, changes, render_all
from synthetic_records import record_of

from guidance_bench.core.errors import UserError
from guidance_bench.experiments import record_schema
from guidance_bench.experiments.record_schema import json_schema
from guidance_bench.experiments.records import MAX_BYTES, read_record, validate
from guidance_bench.leaderboard.formats.rows import STEERING, visible
from guidance_bench.leaderboard.publish import write_leaderboard


def accepted(every: int = 1) -> tuple[list[tuple[str, dict]], int]:
    """The changes that leave a record valid, and how many were tried; all others are refused in one line."""
    found, tried = [], 0
    for what, record in list(changes(record_of("cfg")))[::every]:
        tried += 1
        try:
            found.append((what, validate(record, "a changed record")))
        except UserError as error:
            assert "a changed record" in str(error) and "\n" not in str(error) and len(str(error)) < 600, what
    return found, tried


def check_all(found: list[tuple[str, dict]]) -> None:
    assert_harmless(render_all([record_of("none"), record_of("ig"), *(record for _, record in found)]))


def test_every_structural_change_is_refused_or_read():
    found, tried = accepted()
    assert tried >= 2000 and 500 < len(found) < tried - 1000


def test_what_is_read_is_harmless_in_every_format():
    names = ("'method', 'name'", "'evaluator', 'name'", "('metrics',) +", "'precision')", "'channels'")
    found = [(what, record) for what, record in accepted()[0] if any(name in what for name in names)]
    assert len(found) > 40
    check_all(found[::3])


def test_every_sign_that_steers_is_known():
    steers = {c for c in map(chr, range(0x110000)) if unicodedata.category(c) in ("Cc", "Cf", "Cs")} - {"\n", "\t"}
    assert {c for c in steers if not STEERING.fullmatch(c)} == set()
    assert visible("a\u202eb\n\tc é") == "a�b\n\tc é"


@pytest.mark.slow
def test_the_rest_is_harmless_too():
    found, _ = accepted()
    for start in range(5):
        check_all(found[start::5])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"schema": 1, "run_id": "\\ud800"}', "hex escape"),
        ('{"schema": 1, "x": 1' + "0" * 399 + "}", "beyond 2"),
        ('{"schema": 1, "x": 1' + "0" * 9000 + "}", "record.json"),
        ("[" * 20_000, "record.json"),
        ('{"schema": 1, "x": ' + "[" * 30 + "]" * 30 + "}", "deeper than"),
        ('{"schema": NaN}', "record.json"),
        ('{"schema": 1, "x": "' + "x" * MAX_BYTES + '"}', "larger than"),
    ],
)
def test_what_python_itself_stumbles_over_is_one_line(tmp_path, text, message):
    (tmp_path / "record.json").write_text(text)
    with pytest.raises(UserError) as caught:
        read_record(tmp_path / "record.json")
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.slow
def test_figures_of_hostile_names_are_drawn(tmp_path):
    bad = ("$x_{$", "\x1b[31m", "\u202egnp", "=1+1", "../../etc")
    records = [record_of("none"), *(record_of(name, {"scale": 2.0}) for name in bad)]
    files = write_leaderboard(records, tmp_path)
    assert all(path.resolve().is_relative_to(tmp_path.resolve()) and path.stat().st_size for path in files.values())


def test_the_json_schema_is_published_and_says_what_the_reader_does():
    schema = json_schema()
    published = Path(record_schema.__file__).with_name("record.schema.json")
    assert published.read_text(encoding="utf-8") == json.dumps(schema, indent=1) + "\n"  # made by json.dumps
    assert {"schema", "run_id", "spec", "metrics", "cost", "sha256"} <= set(schema["required"])
    assert schema["$defs"]["Metric"]["properties"]["values"]["minItems"] == 1
    assert schema["properties"]["run_id"]["pattern"] == "^[0-9a-f]{12}$"
