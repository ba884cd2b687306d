"""How the cost grows with samples, resolution, width and methods: exponents fitted to measured times."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .ruler import alternate
from .sampling import DIGITS, Workload

#: Sizes of each sweep; the rest of the workload is held.
SAMPLES = (64, 128, 256, 512)
SIDES = (8, 16, 24, 32)
WIDTHS = (64, 128, 256, 512)


def scaling(rounds: int, device: torch.device) -> dict[str, Any]:
    """Seconds at each size, and the exponent p of seconds ~ size^p."""
    sweeps: dict[str, list[tuple[int, Workload]]] = {
        "samples": [(n, _work(device, batch=n)) for n in SAMPLES],
        "latents a side": [(n, _work(device, input_size=n, batch=16)) for n in SIDES],
        "width": [(n, _work(device, hidden_size=n, batch=32)) for n in WIDTHS],
    }
    result: dict[str, Any] = {}
    for name, sizes in sweeps.items():
        times = alternate({str(size): work.ours("ig") for size, work in sizes}, rounds, device)
        medians = {size: times.median(str(size)) for size, _ in sizes}
        result[name] = {"seconds": {str(k): v for k, v in medians.items()}, "exponent": exponent(medians)}
    return result


def exponent(seconds: dict[int, float]) -> float:
    """The slope of log seconds over log size, by least squares."""
    sizes = np.log(np.array(list(seconds)))
    return float(np.polyfit(sizes, np.log(np.array(list(seconds.values()))), 1)[0])


def _work(device: torch.device, batch: int, **config: int) -> Workload:
    return Workload({**DIGITS, **config}, batch, 2, device)
