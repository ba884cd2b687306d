"""A kill, or a full disk, at each write of a run and of a line-up: started again, each comes to the same outcome."""

from __future__ import annotations

import os

import pytest
from crash import disk_full, kill
from crash_points import try_points

#: Which of the points are tried: TRY_EVERY=1 for all of them (half an hour).
EVERY = int(os.environ.get("TRY_EVERY", "9"))


@pytest.mark.slow
@pytest.mark.parametrize("act", [kill, disk_full], ids=lambda act: act.__name__)
@pytest.mark.parametrize(("job", "every", "least"), [("run", EVERY, 50), ("line-up", 4 * EVERY, 150)])
def test_a_job_goes_on_from_any_write(job, every, least, act, tmp_path):
    found = try_points(tmp_path, "cfg" if job == "run" else None, act, slice(every // 2, None, every))
    print(f"{job}, {act.__name__}: {len(found.tried)} of {found.points} points")
    assert not found.faults, f"{len(found.faults)} faults:\n" + "\n".join(found.faults)
    assert found.points >= least and len(found.tried) >= found.points // every
