"""Records that several files of tests look at."""

from __future__ import annotations

import pytest
from synthetic_records import distance_record


@pytest.fixture(scope="module")
def three_seeds():
    """Distances whose means and deviations are round numbers."""
    values = {
        ("none", None): (4.0, 5.0, 6.0),
        ("ig", 1.4): (3.0, 4.0, 5.0),
        ("ig", 1.7): (2.0, 3.0, 7.0),
        ("cfg", 1.5): (10.0, 10.0, 10.0),
    }
    nfe = {"none": 20.0, "ig": 20.0, "cfg": 40.0}
    return [
        distance_record(method, scale, seed, value, nfe=nfe[method])
        for (method, scale), draws in values.items()
        for seed, value in enumerate(draws)
    ]
