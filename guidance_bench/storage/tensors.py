"""Reading tensors out of files that others wrote, without running what is in them."""

from __future__ import annotations

import argparse
import pickle
import re
import textwrap
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from ..core.errors import UserError

_WRAPPERS = {"module", "_orig_mod"}  # what DistributedDataParallel and torch.compile put into names

# What training programs keep beside the tensors: their arguments and numpy scalars. None of these runs code.
_scalar = np.float64(0).__reduce__()[0]
_ALLOWED: list[Any] = [
    argparse.Namespace,
    np.dtype,
    *(type(np.dtype(code)) for code in ("f4", "f8", "i8", "?")),
    (_scalar, "numpy.core.multiarray.scalar"),
    (_scalar, "numpy._core.multiarray.scalar"),
]


def read_checkpoint(path: Path) -> tuple[Mapping[str, Any], dict[str, str]]:
    """The mapping that a .safetensors or a PyTorch file holds, on the CPU, and a safetensors file's metadata.

    Raises:
        UserError: no such file, a file of another kind, a truncated one, or a pickle that wants more than tensors,
            plain values, ``argparse.Namespace`` and numpy scalars.
    """
    if not path.is_file():
        raise UserError(f"checkpoint {str(path)!r} is no file")
    try:
        return _read_safetensors(path) if path.suffix == ".safetensors" else (_read_pickle(path), {})
    except UserError:
        raise
    except Exception as error:  # foreign bytes make the readers fail in many ways
        raise UserError(_complaint(path, error)) from error


def _read_safetensors(path: Path) -> tuple[Mapping[str, Any], dict[str, str]]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


def _read_pickle(path: Path) -> Mapping[str, Any]:
    """A zip archive is mapped, so that of a file with optimiser state only the weights are read."""
    with torch.serialization.safe_globals(_ALLOWED):
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    if not isinstance(content, Mapping):
        raise UserError(f"checkpoint {str(path)!r} holds a {type(content).__name__}, not a state dict")
    return content


def _complaint(path: Path, error: Exception) -> str:
    wanted = re.search(r"GLOBAL (\S+)", str(error))
    if isinstance(error, pickle.UnpicklingError) and wanted:
        return (
            f"checkpoint {str(path)!r} is refused: its pickle asks for {wanted[1]}, which could run code; "
            "where you trust it, convert it to .safetensors"
        )
    reason = "not a pickle of tensors" if isinstance(error, pickle.UnpicklingError) else str(error) or "empty"
    short = textwrap.shorten(reason, 100)
    return f"checkpoint {str(path)!r} is damaged, or no file of safetensors or torch.save ({short})"


def state_dict(content: Mapping[str, Any], weights: str | None, where: str) -> dict[str, Tensor]:
    """The tensors of a checkpoint under their plain names.

    Args:
        content: a bare state dict, or a mapping that holds one under "ema" or "model".
        weights: which of the two; None takes "ema" where there is one, then "model", then the mapping itself.
        where: what messages call the checkpoint.

    Raises:
        UserError: the weights asked for are not there, or what is there is no state dict.
    """
    if weights not in (None, "ema", "model"):
        raise UserError(f"weights={weights!r} is not one of ema, model")
    has = [name for name in ("ema", "model") if isinstance(content.get(name), Mapping)]
    if weights is not None and weights not in has:
        raise UserError(f"{where}: holds no {weights!r} weights (it has: {', '.join(has) or 'one bare state dict'})")
    name = weights or next(iter(has), None)
    tensors = content if name is None else content[name]
    wrong = [str(key) for key, value in tensors.items() if not isinstance(value, Tensor)]
    if wrong or not tensors:
        reason = f"{wrong[0]!r} is no tensor" if wrong else "it is empty"
        raise UserError(f"{where}: is not a state dict, {reason}")
    return {_plain(key): value for key, value in tensors.items()}


def _plain(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)
