"""The command line: ``guidance-bench VERB [Hydra overrides]``; exit 0, or 2 and one line for a user's mistake."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .. import __version__
from ..core.allocator import keep_freed_memory
from ..core.console import speaker
from ..core.errors import UserError, did_you_mean
from .parser import UsageMistake, application

USAGE = """\
guidance-bench: compare guidance methods for diffusion and flow transformers

  run benchmark=digits                  a line-up: train, sample, evaluate, rank
  run benchmark=digits method=ig method.scale=1.7              one run
  run benchmark=digits method=my_method.py "method.scale=[1.2,1.7]"
                                        your own method beside the line-up
  check benchmark=digits method=ig      what run would do, and whether it can
  tune benchmark=digits method=ig budget=4000   find a method's parameters
  train recipe=digits_sit_ig data=digits        a network of your own
  encode FOLDER to=LATENTS              images to latents, for training

  leaderboard [FOLDER]                  tables, figures and page from records
  compare ig cfg                        is A better than B, seed by seed
  report RUN ...                        was a published number reproduced
  strength RUNS                         a method in units of CFG
  verify RECORD                         does a record hold
  submit OUTPUT benchmark=NAME          records into the project's results
  export RUN to=samples.npz             the samples of a run, or a grid.png
  clean OUTPUT                          what can go; asks
  evaluate SAMPLES reference=FILE       metrics of any folder, .npz or store

  list [backbones|methods|solvers|benchmarks|metrics|recipes]  what there is
  cite METHOD ...                       papers as BibTeX
  check-method my_method.py             does a method keep its promises
  speed                                 our paths beside their peers
  version

Each begins with guidance-bench; guidance-bench VERB --help tells more of it;
guidance-bench --install-completion teaches your shell the verbs.
On several GPUs or hosts: accelerate launch -m guidance_bench.cli run ... (or
torchrun). On a cluster, a job for each point of a sweep: guidance-bench run ...
-m ... hydra/launcher=submitit_slurm (pip install -e ".[slurm]").
Every run is named by what it computes and kept under output=outputs; calling
again continues or does nothing."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    keep_freed_memory()
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:2], "--help"]
    try:
        with _terminable():
            return _parse(arguments)
    except UserError as error:
        print(f"{speaker()}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.errno not in PLACES:
            raise
        print(f"{speaker()}: {_shortened(error.filename)}: {error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(f"\n{speaker()}: stopped; the same command continues where it was", file=sys.stderr)
        return 143 if isinstance(stop, Terminated) else 130


#: What a file system says of a path that somebody has mistyped or may not use.
PLACES = {
    errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EROFS, errno.ENOSPC,
}  # fmt: skip


def _shortened(path: Any) -> str:
    text = str(path)
    return repr(text if len(text) <= 200 else f"{text[:60]}...{text[-60:]}")


class Terminated(KeyboardInterrupt):
    """SIGTERM, as a scheduler or a launcher sends it: files are closed and locks freed as for Ctrl-C."""


@contextmanager
def _terminable() -> Iterator[None]:
    def stop(number: int, frame: Any) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


#: Each verb's module in this package; imported when it is called, so that help and mistakes come at once.
VERBS = {
    "run": "experiments.run",
    "check": "experiments.check",
    "list": "about.list",
    "leaderboard": "results.leaderboard",
    "evaluate": "experiments.evaluate",
    "cite": "about.cite",
    "check-method": "about.check_method",
    "export": "results.export",
    "train": "training.train",
    "encode": "training.encode",
    "submit": "results.submit",
    "report": "results.report",
    "verify": "results.verify",
    "clean": "results.clean",
    "speed": "about.speed",
    "compare": "results.compare",
    "strength": "results.strength",
    "tune": "experiments.tune",
    "version": "about.version",
}


def _parse(arguments: list[str]) -> int:
    verb = next((a for a in arguments if not a.startswith("-")), None)
    if arguments and verb == arguments[0] and verb not in VERBS:
        raise UserError(f"unknown verb {verb!r} (known: {', '.join(VERBS)}){did_you_mean(verb, VERBS)}")
    if "" in arguments:
        raise UserError("a word of the command is empty: a variable of the shell that is not set?")
    command = application(VERBS, USAGE, __version__)
    try:
        parsed = command.main(args=arguments, prog_name="guidance-bench", standalone_mode=False)
    except UsageMistake as mistake:
        raise UserError(f"{str(mistake).rstrip('.')} (see: guidance-bench --help)") from mistake
    return int((parsed() if callable(parsed) else parsed) or 0)
