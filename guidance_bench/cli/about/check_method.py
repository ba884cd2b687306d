"""``guidance-bench check-method NAME|FILE``."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.errors import UserError
from ..names import check_name
from ..options import wants_help

HELP = """\
guidance-bench check-method NAME|FILE

  NAME   a registered method
  FILE   a Python file that registers one or several

Says for each promise of a method (neutral setting, spaces, batch invariance,
counted cost, bfloat16, ...) whether it is kept; exit status 1 if one is not."""


def command(arguments: Sequence[str]) -> int:
    """Print one line a check; 1 if one fails."""
    if wants_help(arguments):
        print(HELP)
        return 0 if arguments else 2
    if len(arguments) != 1:
        raise UserError("check-method takes one method: a name or a Python file that registers one")
    check_name("method", arguments[0])

    from ...guidance.method import METHODS
    from ...sampling.method_contract import CHECKS, NETWORKS, run_checks

    names = METHODS.load_file(arguments[0]) if arguments[0].endswith(".py") else [METHODS.entry(arguments[0]).name]
    failures = 0
    for name in names:
        for network in NETWORKS:
            problems = run_checks(METHODS.create(name), network)
            failures += len(problems)
            for check in CHECKS:
                verdict = f"FAILED: {problems[check]}" if check in problems else "ok"
                print(f"{name} on {network}: {check:<10}{verdict}")
    return 1 if failures else 0
