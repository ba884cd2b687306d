"""``guidance-bench verify RECORD``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...core.console import say
from ...core.errors import UserError
from ..names import check_path
from ..options import PLUGINS, load_plugins, split_options, wants_help

HELP = """\
guidance-bench verify RECORD [samples=64|all] [output=FOLDER] [device=auto]
                      [benchmark=FILE.py] [method=FILE.py] [solver=FILE.py]
guidance-bench verify RECORD... samples=none

Checks a record: its seal and name, whether this program gives the same run, the
evaluator's hashes, the networks' weights, a part of its samples made again (in
whole blocks, chosen by the run's name), and its metrics, made again from the
samples where all are in the output folder: that of the record, or outputs where
it lies alone. samples=all makes them all;
samples=none, for any number of records, makes and fetches nothing: seal, name,
arithmetic, the project's own record of the run, and the specification.

A seal alone does not say who wrote a record: only samples and metrics that are
made again do. On another machine or with other versions bits may differ: then
samples are held to those of the record that are at hand (its store, the first
ones that it keeps, the collection's sample grids), by their mean difference: at
most 0.005 grey levels of 255 in fp32, 0.12 in tf32, 0.5 in bf16. A plug-in's
file is named as for run.

Exit status 0: nothing differs; 1: something does."""


DEFAULTS = {"samples": "64", "output": "", "device": "auto", **PLUGINS}


def command(arguments: Sequence[str]) -> int:
    """Print a line for each check."""
    if wants_help(arguments):
        print(HELP)
        return 0 if arguments else 2
    words, options = split_options(arguments, DEFAULTS)
    count = options["samples"]
    if len(words) != 1 and not (words and count == "none"):
        raise UserError("verify takes one record, the path of its JSON file (several with samples=none)")
    if count not in ("all", "none") and not (
        count.isascii() and count.isdigit() and int(count[:9]) > 0 and len(count) < 9
    ):
        raise UserError(f"samples={count[:20]!r} is neither a number from 1 on nor all or none")
    for word in words:
        check_path(word, "the JSON file of a record")
    from ...core.environment import pick_device
    from ...experiments.workspace import output_of
    from ...report.checks import text_of, verified
    from ...report.claims import OWN_RECORD
    from ...report.verify import verify

    load_plugins(options)
    paths = [path / "record.json" if path.is_dir() else path for path in map(Path, words)]
    if count == "none":
        return glance_at(paths, pick_device(options["device"]))
    made = None if count == "all" else int(count)
    output = Path(options["output"]) if options["output"] else output_of(paths[0])
    checks = verify(paths[0], made, output, pick_device(options["device"]), say)
    say(text_of(checks))
    left = [check.what for check in checks if check.verdict == "not checked" and check.what != OWN_RECORD]
    fine = "; not checked: ".join(["nothing differs", *([", ".join(left)] if left else [])])
    say(fine if verified(checks) else "the record does not hold what it says")
    return 0 if verified(checks) else 1


def glance_at(paths: Sequence[Path], device: Any) -> int:
    """Say of each record whether the cheap part holds, and what was not checked or differs; 1 where something does."""
    from ...report.checks import verified
    from ...report.verify import glance

    good = True
    for path in paths:
        checks = glance(path, device)
        good = good and verified(checks)
        told = [check for check in checks if check.verdict == "differs" or check.what == "specification"]
        words = "; ".join(f"{check.what}: {check.words}" for check in told)
        named = path.parent.name if path.name == "record.json" else path.name
        say(f"{'ok     ' if verified(checks) else 'differs'}  {named}  {words}")
    say("nothing differs" if good else "not every record holds what it says")
    return 0 if good else 1
