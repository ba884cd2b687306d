"""One command on several processes, several commands on one run, and signals."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT, Command, run, start, tiny

import guidance_bench as gb


def records(folder: Path) -> dict[str, dict]:
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*/record.json"))]
    return {record["spec"]["method"]["name"]: record for record in found}


def start_held(folder: Path, shards: int, processes: int = 1) -> tuple[Command, Path]:
    """A command that stands at the third block of each process, until the file beside it is removed."""
    hold = folder / "hold"
    hold.touch()
    command = start(tiny(folder / "out"), folder / "log", processes, TINY_HOLD=str(hold))
    command.wait_for(lambda: len(list(folder.glob("out/*/samples/*.safetensors"))) == shards)
    return command, hold


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Records of both methods, made on one process."""
    folder = tmp_path_factory.mktemp("alone")
    for method in ("none", "cfg"):
        run(tiny(folder / "out", method=method), folder / "log")
    return records(folder / "out")


@pytest.mark.slow
def test_two_processes_make_the_same_samples_and_speak_once(alone, tmp_path):
    command = run(tiny(tmp_path / "out", method=None), tmp_path / "log", processes=2)
    one, two = alone, records(tmp_path / "out")
    assert set(one) == set(two) == {"none", "cfg"}
    for name in one:
        assert two[name]["samples"] == one[name]["samples"]
        assert two[name]["metrics"] == one[name]["metrics"]
        assert two[name]["networks"] == one[name]["networks"]
        assert (one[name]["environment"]["world_size"], two[name]["environment"]["world_size"]) == (1, 2)
    assert one["none"]["samples"]["digest"] != one["cfg"]["samples"]["digest"]
    for line in ("[1/2] none", "[2/2] cfg", "leaderboard.html"):
        assert command.text().count(line) == 1


def test_a_second_command_on_the_same_run_waits_and_finds_it_done(alone, tmp_path):
    first, hold = start_held(tmp_path, shards=2)
    run_id = next(tmp_path.glob("out/*/samples")).parent.name
    waiting = f"another process works on {run_id}; waiting for it"
    second = start(tiny(tmp_path / "out"), tmp_path / "second")
    second.wait_for(lambda: waiting in second.text())
    hold.unlink()
    assert first.wait() == second.wait() == [0]
    assert second.text().count(waiting) == 1
    assert records(tmp_path / "out")["cfg"]["samples"] == alone["cfg"]["samples"]


def test_runs_side_by_side_share_one_training(alone, tmp_path):
    commands = [start(tiny(tmp_path / "out", method=name), tmp_path / name) for name in ("cfg", "none")]
    assert [command.wait() for command in commands] == [[0], [0]]
    both = records(tmp_path / "out")
    assert both["cfg"]["networks"] == both["none"]["networks"]
    for name in both:
        assert both[name]["samples"] == alone[name]["samples"]


def test_a_mistake_found_by_the_first_process_ends_all_with_one_line(tmp_path):
    command = start(tiny(tmp_path / "out"), tmp_path / "log", processes=2, TINY_BROKEN="1")
    assert command.wait() == [2, 2]
    said = [line for line in command.text().splitlines() if line.startswith("guidance-bench")]
    assert said == ["guidance-bench: the evaluator is broken"] and "Traceback" not in command.text()


def test_two_processes_share_the_blocks_of_a_run(alone, tmp_path):
    run(tiny(tmp_path / "out"), tmp_path / "log", processes=2)
    record = records(tmp_path / "out")["cfg"]
    assert record["samples"] == alone["cfg"]["samples"] and record["metrics"] == alone["cfg"]["metrics"]
    assert record["environment"]["world_size"] == 2


def test_a_process_that_dies_ends_the_others_and_nothing_is_lost(alone, tmp_path):
    command, hold = start_held(tmp_path, shards=4, processes=2)
    os.kill(command.processes[1].pid, signal.SIGKILL)
    hold.unlink()
    assert command.wait() == [2, -signal.SIGKILL]
    assert "another process of this run has stopped; the same command continues" in command.text()
    assert "Traceback" not in command.text()
    run(tiny(tmp_path / "out"), tmp_path / "again")
    assert records(tmp_path / "out")["cfg"]["samples"] == alone["cfg"]["samples"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stop_is_clean_and_the_next_call_goes_on(alone, tmp_path, number, status):
    command, _ = start_held(tmp_path, shards=2)
    command.kill(number)
    assert command.wait() == [status]
    assert command.text().count("guidance-bench: stopped; the same command continues where it was") == 1
    assert "Traceback" not in command.text()
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/*/samples/*.safetensors")}
    assert len(kept) == 2 and not list(tmp_path.rglob("*.tmp"))
    run(tiny(tmp_path / "out"), tmp_path / "again")
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    assert records(tmp_path / "out")["cfg"]["samples"] == alone["cfg"]["samples"]


def test_a_smaller_batch_is_the_same_run(alone, tmp_path):
    run(tiny(tmp_path / "out", "batch=3"), tmp_path / "log")
    here, there = records(tmp_path / "out")["cfg"], alone["cfg"]
    assert here["run_id"] == there["run_id"] and (here["samples"]["batch"], there["samples"]["batch"]) == (3, 10)
    assert here["cost"]["main"] == pytest.approx(there["cost"]["main"])


LAUNCHERS = {
    # --cpu would start a single process, whatever --num_processes says (accelerate 1.15)
    "accelerate": ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"],
    "torchrun": ["torch.distributed.run", "--standalone", "--nproc_per_node", "2"],
}


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_the_real_launchers(alone, tmp_path, launcher):
    arguments = ["-m", "guidance_bench.cli", *tiny(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-m", *LAUNCHERS[launcher], *arguments],
        capture_output=True, text=True, check=False, cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    record = records(tmp_path / "out")["cfg"]
    assert record["samples"] == alone["cfg"]["samples"]
    assert record["environment"]["world_size"] == 2
    assert done.stdout.count("record.json") == 1


METHOD = """
from guidance_bench import Guidance, register_method

@register_method("half_cfg")
class HalfCFG(Guidance):
    scale: float = 1.5

    def guide(self, step, query):
        cond, null = yield query, query.null()
        return null + (1 + self.scale) / 2 * (cond - null)
"""


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("submitit"), reason="the extra [slurm]")
def test_a_sweep_of_jobs_side_by_side_with_a_method_of_the_users(tmp_path):
    """submitit's local executor: the same pickled jobs in fresh processes as on SLURM, without the queue."""
    (tmp_path / "half.py").write_text(METHOD)
    arguments = tiny(tmp_path / "out", "-m", "method.scale=1.2,1.6", "hydra/launcher=submitit_local", method="half.py")
    arguments[1] = f"benchmark={Path(arguments[1].split('=')[1])}"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "guidance_bench.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    found = gb.load_results(tmp_path / "out")
    assert sorted(found["method.scale"]) == [1.2, 1.6] and set(found["method"]) == {"half_cfg"}
    assert found["plugin"].nunique() == 1 and found["plugin"].notna().all()
    assert "half.py" in json.loads(next(tmp_path.glob("out/*/record.json")).read_text())["command"]
    wrong = [sys.executable, "-m", "guidance_bench.cli", *arguments, "benchmark.labels=sorted"]
    done = subprocess.run(wrong, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert done.returncode == 2 and "labels='sorted' is not one of" in done.stderr and "Traceback" not in done.stderr


LEAVING = """
import atexit, torch
from pathlib import Path
from torch import distributed
def threads():
    return sum("gloo" in name.read_text() for name in Path("/proc/self/task").glob("*/comm"))
atexit.register(lambda: print("still met:", distributed.is_initialized(), threads()))  # the last to be called
from guidance_bench.core.processes import begin
begin(torch.device("cpu"))
import torch._dynamo  # as an optimizer does; it imports what would take hold of the group
print("met:", distributed.is_initialized(), threads() > 0)
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted as Linux shows them")
def test_the_processes_part_before_the_interpreter_ends():
    """A group's threads that outlive the interpreter can abort it: exit -6 after a run that is whole."""
    place = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    environment = {**os.environ, **place, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", LEAVING], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split("\n") == ["met: True True", "still met: False 0", ""]
