"""What a run ran on."""

from __future__ import annotations

import importlib
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import UserError

if TYPE_CHECKING:  # imported where a device is asked: a version is told without it
    import torch

PACKAGES = ("torch", "torchvision", "timm", "accelerate", "numpy", "scipy", "pandas", "torchdiffeq", "torch-fidelity")


def describe(device: torch.device) -> dict[str, Any]:
    """Machine, versions and source state, as plain JSON values."""
    import torch

    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "device_type": device.type,
        "threads": torch.get_num_threads(),
        "world_size": int(os.environ.get("WORLD_SIZE", "1")),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": {name: version for name in PACKAGES if (version := version_of(name))},
        "guidance_bench": version_of("guidance-bench") or "not installed",
        **_git(),
        **(_cuda() if device.type == "cuda" else {}),
    }


def _cuda() -> dict[str, Any]:
    """Versions of CUDA, cuDNN and the driver."""
    import torch

    try:
        words = Path("/proc/driver/nvidia/version").read_text().split()
        driver = next((word for word in words if word[:1].isdigit() and "." in word), None)
    except OSError:
        driver = None
    return {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(), "driver": driver}


def version_of(package: str) -> str | None:
    """Version of an installed package; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def _git() -> dict[str, Any]:
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return {"git": None, "dirty": None}
    try:
        commit = _run_git(root, "rev-parse", "HEAD")
        return {"git": commit, "dirty": bool(_run_git(root, "status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.CalledProcessError):
        return {"git": None, "dirty": None}


def _run_git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def peak_memory(device: torch.device) -> int:
    """Peak memory so far in bytes: the device's on CUDA, the process's resident set on a CPU."""
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:  # Linux; getrusage would count the memory of a larger process that has started this one
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))
    except (OSError, StopIteration):
        try:
            resource = importlib.import_module("resource")
        except ImportError:  # Windows
            return 0
        peak: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def pick_device(name: str) -> torch.device:
    """ "auto" is CUDA where there is one, else the CPU; :class:`UserError` for a device that is not there."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(f"device={name!r} cannot be used: {str(error).splitlines()[0]}") from error
    return device


def check_torchvision() -> None:
    """Raise :class:`UserError` where torch and torchvision come from different indexes.

    A CPU-only torch beside the ordinary torchvision fails at import with an operator that does not exist, and with it
    timm, torch-fidelity and clean-fid. The local version tags differ then;
    only in that case is the (slow) import tried.
    """
    torch_tag, vision_tag = (_tag(version_of(name)) for name in ("torch", "torchvision"))
    if torch_tag == vision_tag:
        return
    try:
        importlib.import_module("torchvision")
    except Exception as error:
        raise UserError(
            f"torch {version_of('torch')} and torchvision {version_of('torchvision')} do not fit together; "
            "install both from the same index: pip install --force-reinstall torch torchvision"
        ) from error


def _tag(version: str | None) -> str:
    return (version or "").partition("+")[2]
