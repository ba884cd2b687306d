"""Freed memory stays with the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Makes and frees 48 MB in pieces, as a forward pass does: more than twice the largest piece, which glibc gives back.
PROGRAM = """
import resource, sys, numpy
from guidance_bench.core.allocator import keep_freed_memory
print(keep_freed_memory() if sys.argv[1] == "keep" else "")
def work():
    return [numpy.ones(8 << 20, numpy.uint8) for _ in range(6)]
for _ in range(3): work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10): work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(mode: str, **environment: str) -> tuple[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, mode], capture_output=True, text=True, check=True, env=environment
    )
    said, count = done.stdout.splitlines()
    return said, int(count)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's")
def test_freed_memory_is_used_again_without_page_faults():
    assert faults("leave")[1] > 2000
    assert faults("keep") == ("True", pytest.approx(0, abs=100))


def test_a_user_who_has_set_glibc_up_is_left_alone():
    assert faults("keep", MALLOC_TRIM_THRESHOLD_="65536")[0] == "False"
