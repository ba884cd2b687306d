"""``guidance-bench speed``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...core.console import say
from ...core.errors import UserError, did_you_mean
from ..options import split_options, wants_help, whole_number

HELP = """\
guidance-bench speed [only=NAME[,NAME]] [device=auto] [rounds=5] [threads=2]
                     [output=FILE.json]

Times our paths and their peers in turn, in one process: sampling beside a plain
loop of timm's blocks, each method beside none, the small networks, growth with
samples, resolution and width; Fréchet distance, precision and recall and
Inception beside SciPy's and torch-fidelity's. Prints the ratios with the goals
and writes the record, with the machine and its rate of matrix products; of
scaling also a figure beside it, with every method's time and evaluations.

Names: sampling, methods, small, scaling, training, frechet, precision,
features; on a CUDA GPU sampling_gpu, methods_gpu, small_gpu, evaluation_gpu,
training."""

NAMES = (
    "sampling", "methods", "small", "scaling", "training", "frechet", "precision", "features",
    "sampling_gpu", "methods_gpu", "small_gpu", "evaluation_gpu",
)  # fmt: skip


def command(arguments: Sequence[str]) -> int:
    """Measure, print the table, write the record."""
    if arguments and wants_help(arguments):
        print(HELP)
        return 0
    defaults = {"only": "", "device": "auto", "rounds": "5", "threads": "2", "output": ""}
    words, options = split_options(arguments, defaults)
    if words:
        raise UserError(f"speed takes no {words[0]!r} (options: {', '.join(defaults)})")
    rounds, threads = (whole_number(name, options[name], 1, 99_999) for name in ("rounds", "threads"))
    names = [name for name in options["only"].split(",") if name]
    for name in names:
        if name not in NAMES:
            raise UserError(f"only={name!r} is not one of {', '.join(NAMES)}{did_you_mean(name, NAMES)}")
    from ...core.environment import pick_device
    from ...speed.measure import measure, table
    from ...storage.files import write_json

    record = measure(names, rounds, threads, pick_device(options["device"]))
    say(table(record["results"]))
    if options["output"]:
        write_json(Path(options["output"]), record)
        say(f"record: {options['output']}")
        if "scaling" in record["results"]:
            from ...speed.figure import growth_figure

            say(f"figure: {growth_figure(record, Path(options['output']).with_suffix('')).png}")
    return 0
