"""What a method may measure before it guides: on a network and its training data, once, kept for later runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..networks.backbone import Backbone
    from ..networks.dataset import Dataset


@dataclass(frozen=True)
class Prepass:
    """What :meth:`guidance_bench.guidance.method.Guidance.prepare` is given.

    Attributes:
        backbone: the main network.
        data: gives the benchmark's training latents and labels.
        folder: a place that belongs to this method and this network alone; what is there was made by an earlier call.
    """

    backbone: Backbone
    data: Callable[[], Dataset]
    folder: Path
