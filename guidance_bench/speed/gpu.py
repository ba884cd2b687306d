"""The measurements that need a CUDA GPU: SiT-XL/2 beside the programs' loop, and the metrics of a whole run."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from ..core.arrays import float32_products
from ..metrics import feature_statistics, frechet_distance, precision_recall
from ..networks.precision import in_precision
from .evaluation import DIMENSIONS, features_like, random_inception
from .ruler import Task, alternate, matrix_rate
from .sampling import COSTED, SIT_XL, Workload, bare, costs, differences, shares


def sampling_gpu(rounds: int, device: torch.device) -> dict[str, Any]:
    """SiT-XL/2 with IG+CFG at batch 128: eager and compiled, against the plain loop in TF32 and in bfloat16."""
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
    return {
        "network": "SiT-XL/2",
        "method": method,
        "batch": work.batch,
        "steps": work.steps,
        "speed_over_plain": {name: times.ratio("plain loop, tf32", name) for name in ours},
        "speed_over_plain_bf16": {name: times.ratio("plain loop, bf16", name) for name in ours},
        "share_of_products": shares(times, 2 * work.steps * work.operations(), ours),
        "operations_per_second": {name: times.values[name] for name in tasks if "products" in name},
        "difference": differences(times, "plain loop, tf32", ours),
        "peak_memory": torch.cuda.max_memory_allocated(device),
        "seconds": times.seconds,
    }


def methods_gpu(rounds: int, device: torch.device) -> dict[str, Any]:
    """What guidance and a stochastic solver cost on SiT-XL/2 in bfloat16, and the loop's own overhead."""
    work = Workload(SIT_XL, 64, 10, device)
    tasks: dict[str, Task] = {name: work.ours(name, "bf16") for name in COSTED}
    tasks["stochastic"] = work.ours("none", "bf16", solver="euler_maruyama")
    tasks["bare"] = bare(work, in_precision(work.network, "bf16"))
    times = alternate(tasks, rounds, device)
    return {
        "network": "SiT-XL/2, bf16",
        "batch": work.batch,
        "steps": work.steps,
        "cost": {**costs(times), "euler_maruyama / euler": times.ratio("stochastic", "none")},
        "overhead": times.ratio("none", "bare") - 1,
        "seconds": times.seconds,
    }


def evaluation_gpu(rounds: int, device: torch.device) -> dict[str, Any]:
    """FID, precision and recall of 50,000 samples against 10,000 references from their features; Inception's rate."""
    mixing = np.random.default_rng(0).standard_normal((32, DIMENSIONS), dtype=np.float32)
    sizes = ((10_000, 0.3), (50_000, 0.4))
    real, fake = (features_like(mixing, n, spread, np.random.default_rng(n)) for n, spread in sizes)
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


def in_tf32(task: Task) -> Task:
    """The task with TF32 products, as the official inference programs switch them on."""

    def run() -> Any:
        with float32_products(tf32=True):
            return task()

    return run


def _inception_rate(rounds: int, device: torch.device) -> float:
    """Images of 256 x 256 a second in float32, weights random."""
    network, batch = random_inception()[0].to(device), 256
    images = torch.randint(0, 256, (batch, 256, 256, 3), dtype=torch.uint8, device=device)

    @torch.inference_mode()
    def run() -> None:
        with float32_products(tf32=False):
            network(images)

    return batch / alternate({"inception": run}, rounds, device).median("inception")
