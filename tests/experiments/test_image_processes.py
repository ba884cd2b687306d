"""Benchmarks of real images on two processes of accelerate: reference, samples and metrics are those of one."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import ROOT, run
from PIL import Image
from safetensors.numpy import load_file

from guidance_bench.experiments.records import read_records
from guidance_bench.training.sources.cifar10 import CLASSES, PICKLED, VARIABLE

# --cpu would start a single process, whatever --num_processes says (accelerate 1.15)
LAUNCH = ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"]
QUICK = {
    "samples": 40, "block": 10, "solver_steps": 2, "train_steps": 4, "weak_steps": 2, "batch": 4, "width": 24,
    "depth": 2, "heads": 2, "tap": 1, "reference": 70, "methods": "[none,autoguidance]",
}  # fmt: skip

#: A method's file: puts a fake network, which notes how many images each process gave it, in Inception's place, and
#: lets torchvision know the hashes of the made-up CIFAR-10.
PLUGIN = f"""
import os
import sys
from hashlib import md5
from pathlib import Path

sys.path.insert(0, {str(ROOT / "tests" / "helpers")!r})
from fake_features import FakeInception
from torchvision.datasets import CIFAR10

from guidance_bench import Guidance, register_method
from guidance_bench.features.extractors import EXTRACTORS


class Noting(FakeInception):
    def __call__(self, images):
        with Path(os.environ["NOTES"], os.environ.get("RANK", "0")).open("a") as file:
            file.write(f"{{len(images)}}\\n")
        return super().__call__(images)


EXTRACTORS.update(dict.fromkeys(FakeInception.makes, lambda weights, device: Noting()))
place = Path(os.environ.get({VARIABLE!r}, ""), {PICKLED!r})
if place.is_dir():
    sums = {{file.name: md5(file.read_bytes()).hexdigest() for file in place.iterdir()}}
    CIFAR10.train_list = [[name, sums[name]] for name, _ in CIFAR10.train_list]
    CIFAR10.test_list = [[name, sums[name]] for name, _ in CIFAR10.test_list]
    CIFAR10.meta = {{**CIFAR10.meta, "md5": sums["batches.meta"]}}


@register_method("plain")
class Plain(Guidance):
    def guide(self, step, query):
        return (yield query)
"""


def class_folders(place: Path) -> list[str]:
    """Seventy pictures of three kinds, of several sizes."""
    rng = np.random.default_rng(0)
    for i in range(70):
        file = place / "pets" / ("cats", "dogs", "eels")[i % 3] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12 + i % 5, 11, 3), dtype=np.uint8)).save(file)
    return ["benchmark=folder", f"data={place / 'pets'}", "benchmark.size=8"]


def cifar10(place: Path) -> list[str]:
    """CIFAR-10 as torchvision unpacks it, with a hundred images a file instead of ten thousand."""
    rng, folder = np.random.default_rng(1), place / PICKLED
    folder.mkdir()
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        rows = rng.integers(0, 256, (100, 3 * 32 * 32), dtype=np.uint8)
        (folder / name).write_bytes(pickle.dumps({"data": rows, "labels": [i % 10 for i in range(100)]}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(CLASSES)}))
    return ["benchmark=cifar10_small"]


def features_of(output: Path) -> dict[str, str]:
    """Hashes of all features that are kept, of the reference and of every run's samples, by place and name."""
    files = [f for f in output.rglob("*.safetensors") if "features" in f.relative_to(output).parts]
    arrays = {(str(f.relative_to(output)), name): rows for f in files for name, rows in load_file(f).items()}
    return {f"{place}: {name}": hashlib.sha256(rows.tobytes()).hexdigest() for (place, name), rows in arrays.items()}


@pytest.mark.slow
@pytest.mark.parametrize("data", [class_folders, cifar10])
def test_two_processes_of_accelerate_give_what_one_gives(data, tmp_path):
    (tmp_path / "plain.py").write_text(PLUGIN)
    fields = [f"benchmark.{name}={value}" for name, value in QUICK.items()]
    words = ["run", *data(tmp_path), *fields, f"method={tmp_path / 'plain.py'}", "lineup=true", "device=cpu"]
    seen = {}
    for processes in (1, 2):
        place = tmp_path / str(processes)
        place.mkdir()
        told, known = [*words, f"output={place / 'out'}"], {"NOTES": str(place), VARIABLE: str(tmp_path)}
        if processes == 1:
            run(told, place / "log", **known)
        else:
            command = [sys.executable, "-m", *LAUNCH, "-m", "guidance_bench.cli", *told]
            variables = {**os.environ, "OMP_NUM_THREADS": "1", **known}
            done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=variables)
            assert done.returncode == 0, done.stderr
        seen[processes] = [sum(map(int, (place / str(rank)).read_text().split())) for rank in range(processes)]
    one, two = ({r["run_id"]: r for r in read_records(tmp_path / name / "out")} for name in ("1", "2"))
    assert len(one) == 5 and one.keys() == two.keys()  # none, the user's, three strengths of autoguidance
    for run_id, record in one.items():
        for part in ("metrics", "evaluator", "samples", "networks", "command"):
            mine, other = record[part], two[run_id][part]
            if part == "networks":
                mine, other = ({k: v["sha256"] for k, v in value.items()} for value in (mine, other))
            assert mine == other, part
        assert record["environment"]["world_size"] == 1 and two[run_id]["environment"]["world_size"] == 2
    kept = features_of(tmp_path / "1" / "out")
    assert kept == features_of(tmp_path / "2" / "out") and any(name.startswith("features") for name in kept)
    # every image once: the reference and five runs; the second process had its share of both
    assert seen[1] == [70 + 5 * 40] and sum(seen[2]) == 70 + 5 * 40 and min(seen[2]) >= 5 * 20
