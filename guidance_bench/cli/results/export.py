"""``guidance-bench export RUN to=...``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...core.console import say
from ...core.errors import UserError
from ..options import check_options, wants_help, whole_number

HELP = """\
guidance-bench export RUN to=FILE_OR_FOLDER

  RUN            a run's id, or the folder of a run
  to=NAME.npz    ADM's form: arr_0 (N, H, W, 3) uint8, arr_1 (N,) labels
  to=NAME.png    a grid of the first columns * rows samples
  to=NAME/       a folder of 000000.png, 000001.png, ... and labels.csv
  output=outputs the folder in which RUN is looked up
  columns=10, rows=10, of the grid"""

OPTIONS = ("to", "output", "columns", "rows")


def command(arguments: Sequence[str]) -> int:
    """Export a run; returns the exit status.

    Raises:
        UserError: an unknown option or run, damaged samples, or a target that is there already or cannot be written.
    """
    if wants_help(arguments):
        print(HELP)
        return 0 if arguments else 2
    runs = [a for a in arguments if "=" not in a]
    options = dict(a.split("=", 1) for a in arguments if "=" in a)
    check_options(options, OPTIONS)
    if len(runs) != 1:
        raise UserError(f"export takes one run, not {len(runs)}: guidance-bench export RUN to=samples.npz")
    if not options.get("to"):
        raise UserError("export needs to=NAME.npz, to=NAME.png or to=FOLDER/")

    from ...storage.export import export, find

    store = find(runs[0], Path(options.get("output", "outputs")))
    shape = tuple(whole_number(name, options.get(name, "10"), 1, 1000) for name in ("columns", "rows"))
    say(f"{export(store, Path(options['to']).expanduser(), *shape)}")
    return 0
