"""Opening a checkpoint that somebody else wrote, without running what is in it."""

from __future__ import annotations

import pickle
import tarfile
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from ...core.errors import UserError
from .unpickling import PICKLE_MODULE, Placeholder, RunsCode

ZIP = b"PK\x03\x04"
LFS = b"version https://git-lfs"
HEADER = 100_000_000  # no header of safetensors is longer


def read_checkpoint(path: Path) -> tuple[Mapping[str, Any], dict[str, str]]:
    """The mapping that a safetensors or a PyTorch file holds, on the CPU, and a safetensors file's metadata.

    What the file is, its first bytes say, whatever its name ends in. Of a pickle only tensors and plain values are
    built; see :mod:`.unpickling`.

    Raises:
        UserError: no such file, a file of another kind, a truncated one, a pickle that wants to run code, or one that
            holds a whole object.
    """
    if not path.is_file():
        raise UserError(f"checkpoint {str(path)!r} is no file")
    try:
        with path.open("rb") as file:
            start = file.read(64)
        if start.startswith(LFS):
            raise UserError(f"checkpoint {str(path)!r} is a pointer of Git LFS, not the file: run git lfs pull")
        if _is_safetensors(start) or (path.suffix == ".safetensors" and not start.startswith(ZIP)):
            return _read_safetensors(path)
        return _read_pickle(path, start.startswith(ZIP)), {}
    except UserError:
        raise
    except Exception as error:  # foreign bytes make the readers fail in many ways
        raise UserError(_complaint(path, error)) from error


def _is_safetensors(start: bytes) -> bool:
    """Eight bytes of length, then a JSON object."""
    return len(start) > 8 and start[8:9] == b"{" and int.from_bytes(start[:8], "little") < HEADER


def _read_safetensors(path: Path) -> tuple[Mapping[str, Any], dict[str, str]]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


def _read_pickle(path: Path, zipped: bool) -> Mapping[str, Any]:
    """A zip archive is mapped, so that of a file with optimiser state only the weights are read."""
    if zipped and "constants.pkl" in torch._C.PyTorchFileReader(str(path)).get_all_records():
        raise UserError(f"checkpoint {str(path)!r} is a TorchScript program: save the module's state_dict() instead")
    if not zipped and tarfile.is_tarfile(path):
        raise UserError(f"checkpoint {str(path)!r} is of PyTorch before 0.2 or another tar file: save it anew")
    with path.open("rb") as file:
        mapped = zipped and path.suffix != ".safetensors"  # which torch.load would take at its word
        content = torch.load(
            path if mapped else file, "cpu", pickle_module=PICKLE_MODULE, weights_only=False, mmap=mapped
        )
    if isinstance(content, Placeholder):
        raise UserError(
            f"checkpoint {str(path)!r} holds a whole object of {content.wanted}, not a state dict: "
            "save its state_dict() instead"
        )
    if not isinstance(content, Mapping):
        raise UserError(f"checkpoint {str(path)!r} holds a {type(content).__name__}, not a state dict")
    return content


def _complaint(path: Path, error: Exception) -> str:
    if isinstance(error, RunsCode):
        return (
            f"checkpoint {str(path)!r} is refused: its pickle asks for {error}, which could run code; "
            "where you trust it, convert it to .safetensors"
        )
    reason = "not a pickle of tensors" if isinstance(error, pickle.UnpicklingError) else str(error) or "empty"
    short = textwrap.shorten(reason, 100)
    return f"checkpoint {str(path)!r} is damaged, or no file of safetensors or torch.save ({short})"
