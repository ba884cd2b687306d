"""``guidance-bench evaluate SAMPLES... reference=FILE``: metrics of any images, as a table and a record."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.console import say
from ...core.errors import UserError
from ..names import check_name, check_path
from ..options import check_options, literal, truth, wants_help, whole_number

if TYPE_CHECKING:
    from ...evaluation.evaluate import Evaluation

HELP = """\
guidance-bench evaluate SAMPLES [SAMPLES ...] reference=FILE

  SAMPLES          a folder of images (whatever Pillow reads; hidden files and
                   EXIF rotation are ignored), a .npz with arr_0, a sample
                   store; several are independent draws of one method
  reference=FILE   ADM's .npz (mu sigma mu_s sigma_s arr_0), one of our own, or
                   images like SAMPLES
  metrics=a,b      registered metrics, or a .py file that registers some
                   (default: fid,sfid,inception_score,precision_recall)
  NAME.PARAM=VALUE a metric's parameter, e.g. precision_recall.mode=adm_fp16
  weights=FILE     Inception's weights (default: found or downloaded)
  partial=true     evaluate what is sound of a store that is not whole
  jackknife=N      standard errors of a single draw from N blocks
  keep_reference=FILE  write the reference's statistics to FILE (.npz)
  output=FILE      of the record (default: outputs/evaluations/<id>.json)
  batch_size=32, device=auto

On several processes (torchrun --nproc_per_node 8 -m guidance_bench.cli evaluate
...) each makes the features of its part of the images."""

OPTIONS = (
    "reference", "metrics", "weights", "jackknife", "keep_reference", "output", "batch_size", "device", "partial",
)  # fmt: skip
WIDTH = 80


def command(arguments: Sequence[str]) -> int:
    """Run the command line's ``evaluate`` with its arguments; returns the exit status.

    Raises:
        UserError: an unknown option, an ill-typed value, or as :func:`run_evaluate`.
    """
    if wants_help(arguments):
        print(HELP)
        return 0 if arguments else 2
    samples = [a for a in arguments if "=" not in a or Path(a).exists()]
    given = dict(a.split("=", 1) for a in arguments if a not in samples)
    options = {name: value for name, value in given.items() if "." not in name}
    check_options(options, OPTIONS)
    if not samples:
        raise UserError("evaluate needs SAMPLES: a folder, a .npz file or a sample store")
    if not options.get("reference"):
        raise UserError("evaluate needs reference=FILE: a .npz with statistics, or a folder of images")
    for path in (*samples, options["reference"]):
        check_path(path, "a folder of images, a .npz file or a sample store")
    texts = ("weights", "keep_reference", "output", "device")
    more: dict[str, Any] = {name: options[name] for name in texts if name in options}
    least = {"batch_size": 1, "jackknife": 0}
    more |= {name: whole_number(name, options[name], low) for name, low in least.items() if name in options}
    more |= {name: truth(name, options[name]) for name in ("partial",) if name in options}
    run_evaluate(
        samples,
        options["reference"],
        metrics=_metrics(options["metrics"]) if "metrics" in options else None,
        parameters=_parameters({name: value for name, value in given.items() if "." in name}),
        **more,
    )
    return 0


def run_evaluate(samples: Sequence[str], reference: str, *, output: str | None = None, **options: Any) -> Evaluation:
    """Evaluate, print the table and write the record.

    Args:
        samples: paths; several are independent draws.
        reference: path.
        output: of the record; None: ``outputs/evaluations/<id>.json``, named by what was computed from what.
        options: further arguments of :func:`guidance_bench.evaluation.evaluate.evaluate`.

    Raises:
        UserError: as :func:`guidance_bench.evaluation.evaluate.evaluate`, or a record that cannot be written.
    """
    from ...core.environment import check_torchvision, describe, pick_device
    from ...core.identity import short_hash
    from ...core.processes import begin, is_first
    from ...evaluation.evaluate import evaluate
    from ...experiments.records import seal
    from ...storage.files import check_writable, write_json

    check_torchvision()
    for target in (output, options.get("keep_reference")):
        if target:
            check_writable(Path(target).expanduser())
    device = begin(pick_device(options.pop("device", "auto")))
    result = evaluate(samples, reference, device=str(device), **options)
    if not is_first():
        return result
    name = short_hash(_specification(result))
    path = Path(output) if output else Path("outputs/evaluations") / f"{name}.json"
    record = {
        "evaluation_id": name,
        **result.as_dict(),
        "environment": describe(device),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    write_json(path, seal(record))
    say(table(result))
    say(f"record: {path}")
    return result


def _specification(result: Evaluation) -> dict[str, Any]:
    """What was computed from what, wherever the files lie."""
    evaluator = {**result.evaluator, "reference": result.evaluator["reference"]["sha256"]}
    return {"evaluator": evaluator, "samples": [s["sha256"] for s in result.samples]}


def table(result: Evaluation) -> str:
    """Metrics, values and spreads in lines of at most 80 characters, then what could not be computed."""
    rows = [_row(result, name) for name in result.metrics]
    wide = max(len(row[0]) for row in rows)
    lines = [f"{title:<{wide}}  {value}" for title, value in rows]
    for name, reason in result.skipped.items():
        lines += textwrap.wrap(f"not computed: {name}: {reason}", WIDTH, subsequent_indent="  ", break_long_words=False)
    return "\n".join(lines)


def _row(result: Evaluation, name: str) -> tuple[str, str]:
    from ...leaderboard.metric_columns import column_of

    draws, column = result.metrics[name], column_of(name, "")
    text = f"{draws.mean:.5g}"
    if draws.sd is not None:
        text += f" ± {draws.sd:.2g} (sd of {len(draws.values)} draws)"
    if name in result.jackknife:
        text += f" ± {result.jackknife[name].error:.2g} (jackknife)"
    if draws.minimum_of_three is not None and column.direction == "lower":  # a best of three is no custom elsewhere
        text += f", min of 3: {draws.minimum_of_three:.5g}"
    return column.heading, text


def _metrics(value: str) -> list[str]:
    words = [word for part in value.split(",") if (word := part.strip())]
    for word in words:
        check_name("metric", word, words)
    from ...metrics.base import METRICS

    names: list[str] = []
    for name in words:
        names += METRICS.load_file(name) if name.endswith(".py") else [METRICS.entry(name).name]
    if not names:
        raise UserError(f"metrics={value!r} names no metric (known: {', '.join(METRICS.names())})")
    return names


def _parameters(given: dict[str, str]) -> dict[str, dict[str, Any]]:
    if not given:
        return {}
    from ...metrics.base import METRICS

    parameters: dict[str, dict[str, Any]] = {}
    for key, value in given.items():
        metric, _, name = key.partition(".")
        parameters.setdefault(METRICS.entry(metric).name, {})[name] = literal(value)
    return parameters
