"""What bfloat16 does to the metrics of digits: ``python tests/helpers/bf16_record.py OUTPUT`` writes the record.

OUTPUT holds runs of digits_full with ``precision=bf16``, each of which is paired with the committed run of the same
method, setting and seed in float32: same networks, same noise. To make them, for each method::

    guidance-bench run benchmark=digits_full precision=bf16 seeds=0,1,2 lineup=false method=ig method.scale=1.7
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from guidance_bench.core.console import say
from guidance_bench.core.identity import canonical
from guidance_bench.experiments.records import committed_results, read_records
from guidance_bench.storage.files import write_sealed

RECORD = Path(__file__).parents[2] / "benchmarks" / "bf16_digits.json"
KEYS = ("benchmark", "environment", "pairs")


def main(output: Path) -> None:
    plain = {_key(r): r for r in read_records(committed_results() / "digits_full")}
    low = [r for r in read_records(output) if r["spec"]["precision"] == "bf16"]
    pairs = [_pair(plain[_key(r)], r) for r in sorted(low, key=_key) if _key(r) in plain]
    write_sealed(RECORD, {"benchmark": "digits_full", "environment": low[0]["environment"], "pairs": pairs})
    say(f"written: {RECORD} ({len(pairs)} pairs)")


def _key(record: dict[str, Any]) -> str:
    spec = record["spec"]
    return canonical([spec["benchmark"], spec["method"], spec["seed"], spec["samples"]])


def _pair(plain: dict[str, Any], low: dict[str, Any]) -> dict[str, Any]:
    assert plain["networks"]["main"]["sha256"] == low["networks"]["main"]["sha256"]
    values = {name: {m: v["mean"] for m, v in r["metrics"].items()} for name, r in (("fp32", plain), ("bf16", low))}
    runs = {"fp32_run": plain["run_id"], "bf16_run": low["run_id"]}
    return {"method": plain["spec"]["method"], "seed": plain["spec"]["seed"], **runs, **values}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
