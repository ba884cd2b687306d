"""What the C library does with memory that is freed."""

from __future__ import annotations

import os
import sys

#: mallopt's numbers (glibc's malloc.h).
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
#: Free memory in bytes that a process keeps, and the size from which an array is given back by itself.
KEPT, BY_ITSELF = 1 << 30, 256 << 20
#: Variables by which a user tells glibc the same.
VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Let this process keep the memory of its freed tensors for the next ones; whether it could be arranged.

    A forward pass on a CPU makes and frees tensors of some megabytes at every operation. glibc gives them back to the
    system and gets them anew, empty, one page fault for every 4 KiB. Other C libraries are left alone, and so is a
    glibc whose user has set it up.
    """
    if not sys.platform.startswith("linux") or any(name in os.environ for name in VARIABLES):
        return False
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    # glibc before 2.36 takes no more than 32 MiB for the second
    sizes = mallopt(MMAP_THRESHOLD, BY_ITSELF) or mallopt(MMAP_THRESHOLD, 32 << 20)
    return bool(sizes and mallopt(TRIM_THRESHOLD, KEPT))
