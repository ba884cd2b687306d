"""One thread for each test process: the suite runs in several processes, and threads that outnumber cores stall."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

torch.set_num_threads(1)
