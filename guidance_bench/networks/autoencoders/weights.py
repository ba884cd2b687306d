"""Weights of published autoencoders into modules of diffusers."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ...core.errors import UserError
from ...storage.checkpoint_files.reading import read_checkpoint


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The floating-point tensors of a .safetensors or PyTorch file (of its entry ``state_dict``, if any) in float32.

    Raises:
        UserError: the file is missing, damaged, or a pickle that wants to run code.
    """
    content, _ = read_checkpoint(path)
    tensors = content.get("state_dict", content)
    return {k: v.float() for k, v in tensors.items() if isinstance(v, Tensor) and v.is_floating_point()}


def diffusers_class(name: str) -> Any:
    """A class of diffusers, which only latent-space benchmarks need.

    Raises:
        UserError: diffusers is not installed.
    """
    try:
        return getattr(importlib.import_module("diffusers"), name)
    except ImportError as error:
        raise UserError(f"latents need diffusers ({error}): pip install 'guidance-bench[latents]'") from error


def fill(network: nn.Module, state: Mapping[str, Tensor], file: Path) -> None:
    """Load ``state`` into ``network``.

    Raises:
        UserError: a tensor is missing, unexpected or has another shape; the first three are named.
    """
    expected = {k: list(v.shape) for k, v in network.state_dict().items()}
    given = {k: list(v.shape) for k, v in state.items()}
    wrong = sorted(k for k in expected.keys() | given.keys() if expected.get(k) != given.get(k))
    if wrong:
        shown = "; ".join(f"{k}: {given.get(k, 'missing')}, expected {expected.get(k, 'none')}" for k in wrong[:3])
        raise UserError(f"{str(file)!r} differs from {type(network).__name__} in {len(wrong)} tensors: {shown}")
    network.load_state_dict(state)
