"""``guidance-bench strength OUTPUT``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...core.console import say
from ...core.errors import UserError
from ..names import check_path
from ..options import PLUGINS, load_plugins, split_options, wants_help, whole_number

HELP = """\
guidance-bench strength RUNS [samples=64] [output=FOLDER] [device=auto]
                        [benchmark=FILE.py] [method=FILE.py] [solver=FILE.py]

How strong is a method in units of CFG? For each run the scale of CFG whose
velocity the method's comes closest to (w_e), and the size of its update
|v - v_null| / |v_null|, over time. With these the leaderboard of the output
folder shows each method's gain over CFG of equal strength, and a figure of both
over time is drawn. Its evaluations are no cost of the method.

  RUNS      a record, or a folder of records such as an output folder
  samples   of each run, the first so many
  output    where the networks are, and where strength/RUN.json and the figure
            strength/trajectory.png (.svg, .pdf) go (default: the output folder
            of the runs; outputs where they lie alone)
  benchmark, method, solver   the file of a plug-in that runs were made with"""


def command(arguments: Sequence[str]) -> int:
    """Measure what is not measured yet; a line for each run.

    Raises:
        UserError: no records, a network without a null label, or a plug-in that is not loaded.
    """
    if wants_help(arguments):
        print(HELP)
        return 0 if arguments else 2
    words, options = split_options(arguments, {"samples": "64", "output": "", "device": "auto", **PLUGINS})
    if len(words) != 1:
        raise UserError("strength takes one record or folder of records: guidance-bench strength outputs")
    count = whole_number("samples", options["samples"], 1)
    check_path(words[0], "a record or a folder of records")

    from ...experiments.records import read_records

    records = read_records(words[0])
    if not records:
        raise UserError(f"{words[0]!r} holds no records")
    from ...core.environment import pick_device
    from ...experiments.workspace import output_of
    from ...report.strength import draw_trajectories, strengths

    load_plugins(options)
    output = Path(options["output"]) if options["output"] else output_of(Path(words[0]).expanduser())
    for record, mean in strengths(records, output, pick_device(options["device"]), count):
        say(f"{record['run_id']}  {record['spec']['method']['name']:<24} w_e {mean:.3f}")
    for figure in draw_trajectories(records, output):
        say(f"figure: {figure.png} (also .svg, .pdf)")
    return 0
