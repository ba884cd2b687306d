"""The digits' small network against the plain loop, plain and compiled, and where its time goes."""

from __future__ import annotations

from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from .ruler import Task, alternate
from .sampling import DIGITS, Workload, differences

NAMES = ("none", "ig", "cfg", "ig_cfg")
#: Methods that are compiled too; each makes the compiler work anew.
COMPILED = ("none", "ig_cfg")
#: Operations that the plain loop has as well, on equal numbers: no path of equal bits can leave them out.
SHARED = {
    "matrix products": ("aten::addmm", "aten::mm"),
    "tanh-GELU": ("aten::gelu", "aten::gelu_"),
    "attention": ("aten::scaled_dot_product_attention",),
    "norms": ("aten::native_layer_norm",),
}


def small(rounds: int, device: torch.device) -> dict[str, Any]:
    """Each method over the plain loop; of "none" the share of time of each kind of operation (on a CPU)."""
    work = Workload(DIGITS, 200, 8, device)
    tasks: dict[str, Task] = {}
    for name in NAMES:
        tasks[f"plain {name}"], tasks[name] = work.plain(name), work.ours(name)
    for name in COMPILED:
        tasks[f"{name}, compiled"] = work.ours(name, compile=True)
    times = alternate(tasks, 3 * rounds, device)
    peers = {name: f"plain {name.partition(',')[0]}" for name in tasks if not name.startswith("plain")}
    return {
        "network": "digits",
        "batch": work.batch,
        "steps": work.steps,
        "speed_over_plain": {name: times.ratio(peer, name) for name, peer in peers.items()},
        "difference": {name: differences(times, peer, (name,))[name] for name, peer in peers.items()},
        "share_of_time": shares_of_time(work.ours()) if device.type == "cpu" else {},
        "seconds": times.seconds,
    }


def shares_of_time(task: Task) -> dict[str, float]:
    """The share of a task's time on a CPU that each of :data:`SHARED` takes, by PyTorch's profiler."""
    with profile(activities=[ProfilerActivity.CPU]) as found:
        task()
    events = found.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    return {
        kind: sum(event.cpu_time_total for event in events if event.key in names) / total
        for kind, names in SHARED.items()
    }
