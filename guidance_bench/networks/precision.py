"""The precision that a network runs in: part of a run's name, for it changes the numbers."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch

from ..core.arrays import float32_products
from ..core.errors import UserError, did_you_mean
from .backbone import Backbone

#: fp32: float32 throughout. tf32: float32 whose products a GPU rounds to TF32 (10 bits of mantissa), as the official
#: programs of SiT, LightningDiT and Internal Guidance do; on a CPU the same as fp32. bf16: weights and activations in
#: bfloat16, but for the parts that a backbone names (``float32_parts``). In all of them the latents between steps and
#: the guidance stay in the sampler's own precision, and norms accumulate in float32.
Precision = Literal["fp32", "tf32", "bf16"]
PRECISIONS: tuple[str, ...] = get_args(Precision)


def check_precision(precision: str) -> str:
    """``precision``, if there is such a one.

    Raises:
        UserError: there is none.
    """
    if precision not in PRECISIONS:
        known = ", ".join(PRECISIONS)
        raise UserError(f"precision={precision!r} is not one of {known}{did_you_mean(str(precision), PRECISIONS)}")
    return precision


def in_precision(backbone: Backbone, precision: str) -> Backbone:
    """The network in a precision: itself where it has it already, else a copy; the one that is given stays as it is.

    Raises:
        UserError: an unknown precision.
    """
    wanted = torch.bfloat16 if check_precision(precision) == "bf16" else torch.float32
    kept = tuple(f"{part}." for part in backbone.float32_parts)
    dtypes = {
        name: torch.float32 if name.startswith(kept) else wanted
        for name, tensor in (*backbone.named_parameters(), *backbone.named_buffers())
        if tensor.is_floating_point()
    }
    if all(tensor.dtype == dtypes.get(name, tensor.dtype) for name, tensor in backbone.state_dict().items()):
        return backbone
    made = copy.deepcopy(backbone)
    for name, tensor in (*made.named_parameters(), *made.named_buffers()):
        if name in dtypes:
            tensor.data = tensor.data.to(dtypes[name])
    return made


@contextmanager
def products(precision: str | None) -> Iterator[None]:
    """Matrix products and convolutions in TF32 for "tf32", else exact, whatever the program runs under."""
    with float32_products(tf32=precision == "tf32"):
        yield
