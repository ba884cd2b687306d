"""The largest difference from every official program: ``python tests/helpers/official_record.py`` writes the record.

The page of the published rows and a line of the README are made of ``benchmarks/official.json``; the tests hold the
tolerances.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import torch
from official_programs import RUNS, golden, network, official_difference

import guidance_bench as gb
from guidance_bench.core.environment import describe
from guidance_bench.storage.files import write_json

FILES = ("sit", "sit_ig", "lightningdit", "lightningdit_ig")


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


def measure(file: str) -> dict[str, object]:
    tensors, about = golden(file)
    backbone = network(file, tensors, about)
    noise_time = tensors["t"] if file == "sit_ig" else 1 - tensors["t"]
    sign = 1 if file == "sit_ig" else -1
    tap = about["config"].get("encoder_depth")
    with torch.no_grad():
        prediction = backbone(tensors["x"], noise_time, tensors["y"], () if tap is None else (tap,))
    forward = [relative(sign * prediction.velocity, tensors["velocity"])]
    if tap is not None:
        forward.append(relative(sign * prediction.taps[tap], tensors["velocity_intermediate"]))
    samples = {run: official_difference(file, run, *rest) for name, run, *rest in RUNS if name == file}
    result: dict[str, object] = {"source": about["source"], "forward": max(forward), "samples": samples}
    if "loss.total" in tensors:
        result["loss"] = loss_difference(file, tensors, backbone, tap)
    return result


def loss_difference(file: str, tensors: dict[str, torch.Tensor], backbone: gb.Backbone, tap: int | None) -> float:
    lightning = file.startswith("lightningdit")
    x0, t = tensors["loss.x1" if lightning else "loss.x0"], tensors["loss.t"]
    losses = gb.flow_matching_loss(
        backbone, x0, tensors["loss.y"], 1 - t if lightning else t, tensors["loss.noise"], tap=tap, cosine=lightning
    )
    return abs(float(losses["total"].detach()) / float(tensors["loss.total"]) - 1)


if __name__ == "__main__":
    environment = describe(torch.device("cpu"))
    record = {"environment": environment, "programs": {file: measure(file) for file in FILES}}
    write_json(Path(__file__).parents[2] / "benchmarks" / "official.json", record)
    for file, result in record["programs"].items():
        print(file, {k: v if isinstance(v, (str, float)) else max(v.values()) for k, v in result.items()})
