"""What a run ran on, where the operating system lacks something."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WINDOWS = """
import os, sys
from pathlib import Path
sys.modules["resource"] = None
del os.fchmod
import torch
from guidance_bench.core import environment
from guidance_bench.storage.files import write_text
environment.Path = lambda name: Path("/nowhere")
print(environment.peak_memory(torch.device("cpu")))
write_text(Path(sys.argv[1]), "whole")
print(Path(sys.argv[1]).read_text())
"""


def test_what_windows_lacks_is_done_without(tmp_path):
    command = [sys.executable, "-c", WINDOWS, str(tmp_path / "file")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.stdout.split() == ["0", "whole"], done.stderr
