"""The measurements that need a CUDA GPU: SiT-XL/2 beside the programs' loop, and the metrics of a whole run."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..core.arrays import float32_products
from ..core.errors import UserError
from ..features.inception import CLASSES, Inception, build_trunk
from ..features.inception_weights import InceptionWeights
from ..metrics import feature_statistics, frechet_distance, precision_recall
from ..networks.precision import in_precision
from .ruler import Task, alternate, matrix_rate
from .sampling import DIGITS, SIT_XL, Workload, bare, differences

DIMENSIONS = 2048


def sampling_gpu(rounds: int, device: torch.device) -> dict[str, Any]:
    """SiT-XL/2 with IG+CFG at batch 128: eager and compiled, against the plain loop in TF32 and in bfloat16."""
    needs_cuda(device)
    method, work = "ig_cfg", Workload(SIT_XL, 128, 5, device)
    tasks: dict[str, Task] = {
        "plain loop, tf32": in_tf32(work.plain(method)),
        "plain loop, bf16": work.plain(method, torch.bfloat16),
        "tf32": work.ours(method, "tf32"),
        "bf16": work.ours(method, "bf16"),
        "bf16, compiled": work.ours(method, "bf16", compile=True),
        "tf32 products": in_tf32(matrix_rate(torch.float32, device)),
        "bf16 products": matrix_rate(torch.bfloat16, device),
    }
    times = alternate(tasks, rounds, device)
    ours = ("tf32", "bf16", "bf16, compiled")
    operations = 2 * work.steps * work.operations()
    return {
        "network": "SiT-XL/2",
        "method": method,
        "batch": work.batch,
        "steps": work.steps,
        "speed_over_plain": {name: times.ratio("plain loop, tf32", name) for name in ours},
        "speed_over_plain_bf16": {name: times.ratio("plain loop, bf16", name) for name in ours},
        "share_of_products": {
            name: operations / times.median(name) / times.values[f"{name[:4]} products"] for name in ours
        },
        "operations_per_second": {name: times.values[name] for name in tasks if "products" in name},
        "difference": differences(times, "plain loop, tf32", ours),
        "peak_memory": torch.cuda.max_memory_allocated(device),
        "seconds": times.seconds,
    }


def methods_gpu(rounds: int, device: torch.device) -> dict[str, Any]:
    """What guidance and a stochastic solver cost on SiT-XL/2 in bfloat16, and the loop's own overhead."""
    needs_cuda(device)
    work = Workload(SIT_XL, 64, 10, device)
    tasks: dict[str, Task] = {name: work.ours(name, "bf16") for name in ("none", "ig", "cfg", "cfg_interval", "ig_cfg")}
    tasks["stochastic"] = work.ours("none", "bf16", solver="euler_maruyama")
    tasks["bare"] = bare(work, in_precision(work.network, "bf16"))
    times = alternate(tasks, rounds, device)
    return {
        "network": "SiT-XL/2, bf16",
        "batch": work.batch,
        "steps": work.steps,
        "cost": {
            "ig / none": times.ratio("ig", "none"),
            "ig_cfg / cfg": times.ratio("ig_cfg", "cfg"),
            "cfg at t <= 0.7 / none": times.ratio("cfg_interval", "none"),
            "cfg / none": times.ratio("cfg", "none"),
            "euler_maruyama / euler": times.ratio("stochastic", "none"),
        },
        "overhead": times.ratio("none", "bare") - 1,
        "seconds": times.seconds,
    }


def small_gpu(rounds: int, device: torch.device) -> dict[str, Any]:
    """The digits' small network, whose steps are shorter than their launches: eager and compiled, over the loop."""
    needs_cuda(device)
    work = Workload(DIGITS, 200, 16, device)
    names = ("none", "ig_cfg")
    tasks: dict[str, Task] = {}
    for name in names:
        tasks[f"plain {name}"], tasks[name] = work.plain(name), work.ours(name)
        tasks[f"{name}, compiled"] = work.ours(name, compile=True)
    times = alternate(tasks, 3 * rounds, device)
    return {
        "network": "digits",
        "batch": work.batch,
        "steps": work.steps,
        "speed_over_plain": {
            kind: times.ratio(f"plain {kind.split(',')[0]}", kind) for kind in tasks if not kind.startswith("plain")
        },
        "seconds": times.seconds,
    }


def evaluation_gpu(rounds: int, device: torch.device) -> dict[str, Any]:
    """FID, precision and recall of 50,000 samples against 10,000 references from their features; Inception's rate."""
    needs_cuda(device)
    real, fake = _features(10_000, 0.3), _features(50_000, 0.4)
    torch.cuda.reset_peak_memory_stats(device)
    seconds: dict[str, float] = {}
    started = time.perf_counter()
    fid = frechet_distance(*feature_statistics(real), *feature_statistics(fake))
    seconds["fid"] = time.perf_counter() - started
    shares = precision_recall(real, fake)
    torch.cuda.synchronize(device)
    seconds["all"] = time.perf_counter() - started
    result: dict[str, Any] = {
        "references": len(real),
        "samples": len(fake),
        "seconds": seconds,
        "peak_gpu_memory": torch.cuda.max_memory_allocated(device),
        "fid": fid,
        "precision": shares[0],
        "recall": shares[1],
    }
    return {**result, "inception_images_per_second": _inception_rate(rounds, device)}


def needs_cuda(device: torch.device) -> None:
    """Raise :class:`UserError` for another device."""
    if device.type != "cuda":
        raise UserError(f"this measurement needs a CUDA GPU, and device is {device.type}")


def in_tf32(task: Task) -> Task:
    """The task with TF32 products, as the official inference programs switch them on."""

    def run() -> Any:
        with float32_products(tf32=True):
            return task()

    return run


def _features(count: int, spread: float) -> NDArray[np.float32]:
    """Features of low intrinsic dimension, as real ones: neither all nor none lie inside each other's balls."""
    rng = np.random.default_rng(count)
    mixing = np.random.default_rng(0).standard_normal((32, DIMENSIONS), dtype=np.float32)
    rows = rng.standard_normal((count, 32), dtype=np.float32) @ mixing
    return rows + rng.standard_normal((count, DIMENSIONS), dtype=np.float32) * np.float32(spread)


def _inception_rate(rounds: int, device: torch.device) -> float:
    """Images of 256 x 256 a second in float32, weights random."""
    trunk, batch = build_trunk(), 256
    state = {**trunk.state_dict(), "fc.weight": torch.zeros(CLASSES, 2048)}
    network = Inception(InceptionWeights(state, Path("random"), "", False), trunk).to(device)
    images = torch.randint(0, 256, (batch, 256, 256, 3), dtype=torch.uint8, device=device)

    @torch.inference_mode()
    def run() -> None:
        with float32_products(tf32=False):
            network(images)

    task: Callable[[], None] = run
    return batch / alternate({"inception": task}, rounds, device).median("inception")
