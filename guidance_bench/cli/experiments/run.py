"""``guidance-bench run``: help and mistakes at once, then :mod:`.jobs`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from ..options import wants_help
from .words import as_list, check_at_once, of_benchmark, split_flags

HELP = """\
guidance-bench run benchmark=NAME [method=NAME|FILE.py] [NAME=VALUE ...] [-m]

  benchmark=digits     the benchmark; alone: its whole line-up (train, sample,
                       evaluate, leaderboard)
  row=sit_xl_cfg       a published row of benchmark=imagenet256; all: every row
                       that can be run
  backbone=FILE        your own network (or a folder of guidance-bench train,
                       org/repo:file, URL, known name) in the benchmark's place;
                       weak=FILE beside it; imagenet256 also has names, and
                       checkpoint=, vae=, reference=FILE
  backbone.num_heads=6 what your network's file does not tell (load_backbone's
                       keywords: tap, layout, weights, ...); likewise weak.
  data=PATH            your images, one folder a class, for benchmark=folder
  method=ig            one method instead of the line-up, or a Python file
  method.scale=1.7     a parameter of the method; also benchmark. and solver.
  method.scale=[1.2,1.5,1.8]     a grid of settings beside the line-up: all of
                       them in one table and page
  lineup=true          one setting beside the line-up (false: a grid alone)
  solver=heun          another solver than the benchmark's
  seed=0, seeds=0,1,2  one or several seeds instead of the benchmark's own
  precision=bf16       of the networks: fp32, tf32 (official programs on a GPU)
                       or bf16; part of a run's name
  compile=true         through torch.compile: sooner, the same to rounding
  batch=64             samples in one forward pass (default: a whole block)
  output=outputs       the folder of runs; the same call again continues it
  records=committed    runs whose records are in this folder (or come with the
                       project) count as done
  device=auto
  -m method.scale=1.2,1.7,2.2    a sweep: each combination of the lists

Hydra's own flags are passed on: --cfg job (what would run), --info, ...
What can be named: guidance-bench list"""


def command(arguments: Sequence[str]) -> int:
    """Run what the overrides describe; returns the exit status.

    Raises:
        UserError: an unknown name or parameter, an ill-typed value, a plug-in that cannot be loaded, an output folder
            that cannot be written.
    """
    if wants_help(arguments):
        print(HELP)
        return 0 if arguments else 2
    flags, overrides = split_flags(arguments)
    overrides = [as_list(of_benchmark(override)) for override in overrides]
    check_at_once(overrides)
    launch = import_module("..jobs", __name__).launch  # torch and all that hangs on it
    status: int = launch(flags, overrides)
    return status
