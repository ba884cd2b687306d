"""Every published row field by field against the collected numbers, which lie in ``tests/data/published.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import guidance_bench as gb
from guidance_bench.guidance.method import METHODS

DATA = Path(__file__).parents[1] / "data" / "published.json"
COLLECTED = json.loads(DATA.read_text(encoding="utf-8"))
DECLARED = gb.BENCHMARKS.create("imagenet256").declared
PAIRS = list(zip(COLLECTED["rows"], DECLARED.rows.items(), strict=True))
each_row = pytest.mark.parametrize(("row", "name", "mine"), [pytest.param(r, n, m, id=n) for r, (n, m) in PAIRS])

#: The declared backbone of each model and number of epochs.
BACKBONES = {
    ("SiT-XL/2", 1400): "sit_xl",
    ("SiT-XL/2+IG", 80): "sit_xl_ig_80ep",
    ("SiT-XL/2+IG", 800): "sit_xl_ig",
    ("REPA SiT-XL/2", 800): "repa_sit_xl",
    ("LightningDiT-XL/1", 64): "lightningdit_xl_64ep",
    ("LightningDiT-XL/1", 800): "lightningdit_xl",
    ("LightningDiT-XL/1+IG", 60): "lightningdit_xl_ig_60ep",
    ("LightningDiT-XL/1+IG", 680): "lightningdit_xl_ig",
    ("SiT-B/2", 80): "sit_b",
    ("SiT-B/2+IG", 80): "sit_b_ig",
}
#: What a number depends on, by method, and the keys under which the collected numbers have it.
NEEDS = {
    "none": [],
    "cfg": ["scale", "interval", "channels"],
    "ig": ["scale", "interval", "tap"],
    "ig_cfg": ["scale", "interval", "channels", "tap"],
}
KEYS = {
    "scale": {"scale", "ig_scale"},
    "interval": {"low", "cfg_low", "data_time_start"},
    "steps": {"steps", "time_points"},
    "VAE": {"vae"},
}


def needs(row: dict[str, Any]) -> list[str]:
    lightning = row["model"].startswith("Lightning")  # its latents are those of one VAE alone
    return [
        *NEEDS[row["method"]],
        "solver",
        "steps",
        "shift" if lightning else "VAE",
    ]  # VA-VAE is the only 32-channel one


def known_otherwise(row: dict[str, Any], what: str) -> bool:
    """Settings that the official program fixes, or that are the checkpoint's own and printed at another row of it."""
    model, method = row["model"], row["method"]
    same = [r for r in COLLECTED["rows"] if (r["model"], r["epochs"]) == (model, row["epochs"])]
    second_hand = "second-hand" in row["source"]
    return (
        (what == "tap" and any("tap" in r.get("settings", {}) for r in same))
        or (what == "interval" and (model, method) == ("SiT-XL/2", "cfg"))  # SiT's program has none
        or (what == "interval" and model.startswith("LightningDiT") and method == "ig")  # fixed to the whole of time
        or (what == "channels" and not model.startswith("Lightning"))  # SiT: in the settings; REPA, IG: always all
        or (second_hand and what in ("solver", "steps"))  # the heading of its table: SDE, Euler-Maruyama, 250 steps
        or (second_hand and what == "interval" and row["settings"]["scale"] < 2)  # "without interval"
    )


@each_row
def test_numbers_source_labels_and_method(row, name, mine):
    theirs = {"inception_score": row["is"], **{k: row[k] for k in ("fid", "sfid", "precision", "recall")}}
    assert mine.numbers == {k: v for k, v in theirs.items() if v is not None}
    assert (mine.method, mine.labels, mine.source) == (row["method"], row["labels"], row["source"])
    assert mine.backbone == BACKBONES[row["model"], row["epochs"]]
    assert f"{row['epochs']} epochs" in DECLARED.backbones[mine.backbone].title


@each_row
def test_every_setting_that_was_printed_is_the_rows(row, name, mine):
    about, solver = DECLARED.backbones[mine.backbone], DECLARED.solver(mine)
    parameters = METHODS.create(mine.method, **mine.parameters).parameters()
    ours = {**parameters, "tap": about.settings.get("tap"), "solver": solver.name}
    ours |= {k: v for k, v in solver.parameters.items() if k in ("steps", "shift")}
    ours["time_points"] = solver.parameters["steps"] + 1
    ours["data_time_start"] = 1 - parameters.get("cfg_high", parameters.get("high", 1.0))
    ours["vae"] = {"sd_vae_ema": "sd-vae-ft-ema"}.get(about.autoencoder.name)
    for key, value in row.get("settings", {}).items():
        assert ours[key] == (pytest.approx(value) if isinstance(value, float) else value), key


@each_row
def test_every_setting_that_was_not_printed_is_said(row, name, mine):
    """So that no such row is ever called a reproduction."""
    printed = set(row.get("settings", {}))
    missing = [w for w in needs(row) if not KEYS.get(w, {w}) & printed and not known_otherwise(row, w)]
    assert mine.not_printed == missing


def test_the_rows_that_can_be_reproduced_are_these():
    whole = [n for n, r in DECLARED.rows.items() if not r.not_printed]
    assert whole == ["sit_xl_ig_cfg", "lightningdit_xl_cfg", "lightningdit_xl_ig", "lightningdit_xl_ig_cfg"]


def test_numbers_of_other_versions_stand_in_the_notes():
    (other,) = COLLECTED["other_versions"].values()
    notes = [DECLARED.rows[n].note for n in ("sit_xl_ig", "lightningdit_xl_ig", "lightningdit_xl_ig_cfg")]
    for number, note in zip(other.values(), notes, strict=True):
        assert f"{number} in the abstract of the CVPR 2026 page" in note


def test_the_copy_is_that_of_the_collection():
    shared = Path(__file__).parents[3] / "shared" / "published.json"
    if shared.exists():
        theirs = json.loads(shared.read_text(encoding="utf-8"))
        assert {k: v for k, v in theirs.items() if k != "about"} == {k: v for k, v in COLLECTED.items() if k != "about"}
