"""The command line in processes of their own, forked from one that has done the imports: a second less for each."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

TINY = Path(__file__).parent / "tiny_benchmark.py"
ROOT = Path(__file__).parents[2]

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["commands", "guidance_bench.cli.experiments.run", "torch.distributed"])


@dataclass
class Command:
    """One command on one or several processes; ``log`` holds what all of them say."""

    processes: list[BaseProcess]
    log: Path

    def wait(self, timeout: float = 300.0) -> list[int | None]:
        """Exit statuses; a process that a signal ended has the negative number of it."""
        for process in self.processes:
            process.join(timeout)
        codes = [process.exitcode for process in self.processes]
        self.kill()
        return codes

    def kill(self, number: int = signal.SIGKILL) -> None:
        for process in self.processes:
            if process.is_alive():
                os.kill(process.pid, number)

    def text(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def wait_for(self, condition, timeout: float = 300.0) -> None:
        until = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < until, f"did not happen in {timeout} s; the log says:\n{self.text()}"
            assert any(p.is_alive() for p in self.processes) or condition(), f"ended too soon:\n{self.text()}"
            time.sleep(0.005)


def start(arguments: Sequence[str], log: Path, processes: int = 1, **environment: str) -> Command:
    """Begin ``guidance-bench ARGUMENTS`` as ``torchrun --nproc_per_node PROCESSES`` would."""
    port = str(_free_port())
    started = []
    for rank in range(processes):
        ranks = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, **{k: str(v) for k, v in ranks.items()}}
        variables = {**environment, "OMP_NUM_THREADS": "1", **(meeting if processes > 1 else {})}
        process = _context.Process(target=_main, args=(list(arguments), str(log), variables), daemon=True)
        process.start()
        started.append(process)
    return Command(started, log)


def run(arguments: Sequence[str], log: Path, processes: int = 1, **environment: str) -> Command:
    """The same, waited for; it must succeed."""
    command = start(arguments, log, processes, **environment)
    codes = command.wait()
    assert codes == [0] * processes, f"{codes}\n{command.text()}"
    return command


def tiny(output: Path, *more: str, method: str | None = "cfg") -> list[str]:
    """``run`` of the tiny benchmark."""
    chosen = [] if method is None else [f"method={method}"]
    return ["run", f"benchmark={TINY}", *chosen, f"output={output}", "device=cpu", *more]


def _main(arguments: list[str], log: str, variables: dict[str, str]) -> None:
    os.environ.update(variables)
    os.chdir(ROOT)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the fork server ignores it
    import torch

    from guidance_bench.cli.main import main

    torch.set_num_threads(1)
    code = main(arguments)
    sys.stdout.flush()
    os._exit(code)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
