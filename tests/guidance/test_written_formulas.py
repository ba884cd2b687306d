"""Formulas of programs that are not run, written out, on the same tensors as our methods."""

from __future__ import annotations

import pytest
from readme_tables import equals
from written_formulas import COMPARED, READ, RECORD, difference

import guidance_bench as gb
from guidance_bench.storage.files import read_json

#: Of the largest value. The toy network answers in single precision (reg); theirs adds 1e-7 or 1e-8 to a divisor.
TOLERANCES = {"reg": 1e-5, "adg": 1e-7, "cfg_mp": 1e-6}


@pytest.mark.parametrize("name", COMPARED)
def test_a_method_is_the_written_formula(name):
    assert difference(name) <= TOLERANCES.get(name, 1e-12)


def test_the_record_holds_every_formula_within_its_tolerance():
    recorded = read_json(RECORD)["methods"]
    assert {name: found["program"] for name, found in recorded.items()} == {n: p for n, (_, p) in COMPARED.items()}
    assert all(found["difference"] <= TOLERANCES.get(name, 1e-12) for name, found in recorded.items())


def test_every_method_says_what_it_is_equal_to_or_where_it_was_read():
    ours = {name for name in gb.METHODS.names() if gb.METHODS.entry(name).source == "built in"}
    assert set(equals()) | set(READ) == ours and not set(equals()) & set(READ)
