"""Records in the shape of the runner's, with numbers from simple curves."""

from __future__ import annotations

import hashlib
from typing import Any

from guidance_bench.experiments.records import SCHEMA, metric_values, seal, to_frame, validate
from guidance_bench.experiments.specification import RunSpec
from guidance_bench.leaderboard.protocol_tables import Table, tables

BASE = {"frechet_distance": 2.66, "classifier_score": 9.2, "precision": 0.902, "recall": 0.915, "label_accuracy": 0.961}
SEEDS_SHIFT = {0: 0.0, 1: -0.27, 2: 0.08}
PARAMETERS: dict[str, dict[str, Any]] = {
    "none": {},
    "cfg": {"scale": 1.5, "low": 0.0, "high": 1.0, "channels": None},
    "autoguidance": {"scale": 2.0, "low": 0.0, "high": 1.0},
    "ig": {"scale": 1.7, "low": 0.0, "high": 1.0, "tap": None},
    "ig_cfg": {
        "ig_scale": 1.4,
        "ig_low": 0.0,
        "ig_high": 1.0,
        "cfg_scale": 1.2,
        "cfg_low": 0.0,
        "cfg_high": 0.7,
        "tap": None,
        "channels": None,
    },
}
GRIDS = {
    "none": ("", (None,)),
    "cfg": ("scale", (1.1, 1.2, 1.4)),
    "autoguidance": ("scale", (1.1, 1.25, 1.5)),
    "ig": ("scale", (1.4, 1.7, 2.5)),
    "ig_cfg": ("ig_scale", (1.3, 1.6, 2.0)),
}
#: Optimum and curvature of the distance along each method's scale, its depth, and evaluations a step.
CURVES = {
    "cfg": (1.02, 62.0, 0.05, 2.0),
    "autoguidance": (1.2, 9.0, 0.3, 1.36),
    "ig": (1.8, 1.0, 0.6, 1.0),
    "ig_cfg": (1.5, 2.2, 0.35, 1.7),
}


def distance(method: str, scale: float) -> float:
    """A parabola in the scale."""
    if method not in CURVES:
        return BASE["frechet_distance"]
    best, bend, depth, _ = CURVES[method]
    return BASE["frechet_distance"] - depth + bend * (scale - best) ** 2


def spec_of(method: dict[str, Any], seed: int, **changes: Any) -> RunSpec:
    recipe = {"backbone": "sit", "config": {"depth": 8, "hidden_size": 64, "tap": 3}, "steps": 1000, "seed": seed}
    fields: dict[str, Any] = {
        "benchmark": {"name": "digits", "version": 1, "parameters": {"solver_steps": 20}},
        "networks": {"main": recipe, "weak": {**recipe, "steps": 200, "config": {"depth": 4, "hidden_size": 48}}},
        "method": method,
        "solver": {"name": "euler", "parameters": {"steps": 20, "shift": 0.0}},
        "labels": "balanced",
        "samples": 1000,
        "block": 256,
        "precision": "fp32",
        "metrics": ("frechet_distance", "classifier_score", "precision_recall", "label_accuracy"),
        "seed": seed,
    }
    return RunSpec(**{**fields, **changes})


def record_of(
    method: str,
    parameters: dict[str, Any] | None = None,
    seed: int = 0,
    metrics: dict[str, float] | None = None,
    *,
    nfe: float = 20.0,
    plugin: str | None = None,
    time: str = "2026-01-01T00:00:00Z",
    suffix: str = "_digits_cnn",
    evaluator: str = "digits_cnn",
    **changes: Any,
) -> dict[str, Any]:
    """A valid record; ``changes`` replace fields of the specification."""
    full = {**PARAMETERS.get(method, {}), **(parameters or {})}
    spec = spec_of({"name": method, "parameters": full, "plugin_sha256": plugin}, seed, **changes)
    record = {
        "schema": SCHEMA,
        "run_id": spec.run_id,
        "spec": spec.as_dict(),
        "metrics": {f"{k}{suffix}": metric_values([v]) for k, v in (metrics or BASE).items()},
        "evaluator": {"name": evaluator, "weights_sha256": "c1" * 32, "reference": "digits@2a"},
        "networks": {"main": {"sha256": "a1" * 32, "seconds": 95.2, "parameters": 633_000}},
        "cost": {
            "nfe": nfe,
            "forwards": 80.0,
            "main": nfe,
            "weak": 0.0,
            "seconds": 0.51 * nfe,
            "images_per_second": 1961 / nfe,
            "peak_memory": 5e8,
        },
        "samples": {"count": 1000, "digest": hashlib.sha256(spec.run_id.encode()).hexdigest(), "block": 256},
        "environment": {
            "device": "Some processor, 2 cores",
            "device_type": "cpu",
            "threads": 2,
            "world_size": 1,
            "python": "3.11.9",
            "platform": "Linux x86_64",
            "packages": {"torch": "2.14.0", "numpy": "2.3.0"},
            "guidance_bench": "0.1.0",
            "git": "0" * 40,
            "dirty": False,
        },
        "command": "guidance-bench run benchmark=digits",
        "time": time,
    }
    return validate(seal(record), "a synthetic record")


def line_up(seeds: tuple[int, ...] = (0,), grids: dict[str, Any] | None = None, **changes: Any) -> list[dict[str, Any]]:
    """A record for every setting of every method and seed."""
    records = []
    for seed in seeds:
        for method, (name, scales) in (grids or GRIDS).items():
            for scale in scales:
                value = distance(method, scale) + SEEDS_SHIFT[seed]
                strength = 0.0 if scale is None else scale - 1
                thin = strength * (0.9 if "cfg" in method and method != "ig_cfg" else 0.05)
                numbers = {
                    "frechet_distance": value,
                    "classifier_score": 9.2 + 0.4 * min(strength, 1),
                    "precision": 0.902 + 0.07 * min(strength, 1) + 0.01 * SEEDS_SHIFT[seed],
                    "recall": 0.915 - 0.3 * thin + 0.02 * SEEDS_SHIFT[seed],
                    "label_accuracy": min(0.961 + 0.02 * strength, 0.999),
                }
                nfe = 20 * CURVES[method][3] if method in CURVES else 20.0
                parameters = {name: scale} if name else {}
                records.append(record_of(method, parameters, seed, numbers, nfe=nfe, **changes))
    return records


def distance_record(method: str, scale: float | None, seed: int, value: float, **more: Any) -> dict[str, Any]:
    """A record whose distance is ``value``."""
    parameters = {} if scale is None else {"scale": scale}
    return record_of(method, parameters, seed, {**BASE, "frechet_distance": value}, **more)


def table_of(records: list[dict[str, Any]]) -> Table:
    """The table of records of one protocol."""
    (table,) = tables(to_frame(records)).values()
    return table
