"""Weak partners for autoguidance: the same training with fewer steps, fewer blocks or less width.

With a constant rate a shorter training is the beginning of the longer one, so the averaged weights that
``keep_every=STEPS`` leaves in ``snapshots/`` are an earlier EMA of the main network, those of ``*_weak_short``.
Karras et al. (arXiv 2406.02507) find a smaller network trained for a sixteenth of the steps a good partner; SFD
(arXiv 2512.04926) guides LightningDiT-XL with LightningDiT-B after 70,000 steps.
"""

from __future__ import annotations

from typing import ClassVar

from ...core.parameters import param
from ..recipe import register_recipe
from .lightningdit import LightningDiTB1
from .sit import SiTB2, SiTXL2

AUTOGUIDANCE = "Karras et al., arXiv 2406.02507"


@register_recipe("sit_xl_2_weak_short")
class SiTXL2WeakShort(SiTXL2):
    """A sixteenth of the steps: an earlier EMA of SiT-XL/2."""

    summary: ClassVar[str] = "weak partner of sit_xl_2: a sixteenth of the steps, an earlier EMA"
    paper: ClassVar[str] = AUTOGUIDANCE

    steps: int = param(25_000, low=1, doc="optimiser steps")


@register_recipe("sit_xl_2_weak_shallow")
class SiTXL2WeakShallow(SiTXL2):
    """Half of the blocks, a sixteenth of the steps."""

    summary: ClassVar[str] = "weak partner of sit_xl_2: half of the blocks, a sixteenth of the steps"
    paper: ClassVar[str] = AUTOGUIDANCE

    depth: int = param(14, low=1, doc="blocks")
    steps: int = param(25_000, low=1, doc="optimiser steps")


@register_recipe("sit_xl_2_weak_narrow")
class SiTXL2WeakNarrow(SiTXL2):
    """A third of the width, a sixteenth of the steps."""

    summary: ClassVar[str] = "weak partner of sit_xl_2: a third of the width, a sixteenth of the steps"
    paper: ClassVar[str] = AUTOGUIDANCE

    hidden_size: int = param(384, low=4, doc="width of a token")
    num_heads: int = param(6, low=1, doc="attention heads")
    steps: int = param(25_000, low=1, doc="optimiser steps")


@register_recipe("sit_b_2_weak_short")
class SiTB2WeakShort(SiTB2):
    """A sixteenth of the steps: an earlier EMA of SiT-B/2."""

    summary: ClassVar[str] = "weak partner of sit_b_2: a sixteenth of the steps, an earlier EMA"
    paper: ClassVar[str] = AUTOGUIDANCE

    steps: int = param(25_000, low=1, doc="optimiser steps")


@register_recipe("lightningdit_b_1_weak")
class LightningDiTB1Weak(LightningDiTB1):
    """SFD's weak network for LightningDiT-XL."""

    summary: ClassVar[str] = "weak partner of lightningdit_xl_1: LightningDiT-B/1 after 70,000 steps"
    paper: ClassVar[str] = "SFD, arXiv 2512.04926"

    steps: int = param(70_000, low=1, doc="optimiser steps")
