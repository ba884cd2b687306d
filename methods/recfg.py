"""ReCFG: CFG whose two coefficients need not sum to one, so that the mean of the guided prediction stays right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from guidance_bench.core.errors import UserError
from guidance_bench.core.parameters import param
from guidance_bench.guidance.class_and_null import ClassAndNull
from guidance_bench.guidance.method import Guidance, Step, per_sample_dot, register_method
from guidance_bench.guidance.prepass import Prepass
from guidance_bench.storage.files import sha256_of

from .recfg_table import measured_table, ratio_at, require_table

#: The value of ``table`` that asks a run to measure one.
MEASURED = "measured"


@register_method("recfg")
class RectifiedGuidance(ClassAndNull):
    """scale eps_class - (scale - 1) rho eps_null, rho = E[eps_class eps_null] / E[eps_null^2] at this time and class.

    Xia et al., "Rectified Diffusion Guidance for Conditional Generation", arXiv 2410.18737 (repository thuxmf/recfg).
    The expectations are over training data, for each place of the latent: ``table=measured`` measures them in a run's
    pre-pass on the benchmark's training data, :func:`guidance_bench.methods.recfg_table.make_table` writes them for any
    network. Without a table, rho is each sample's own ratio over all its places: a cheaper relative that needs no
    data.
    """

    summary = "CFG with a second coefficient that keeps the mean right"
    paper = "Rectified Diffusion Guidance for Conditional Generation, arXiv 2410.18737"
    space = "eps"

    scale: float = param(1.5, doc="1 is no guidance")
    table: str | None = param(None, doc="measured, or a file that make_table wrote; none: the sample's own ratio")

    def identity(self) -> dict[str, Any]:
        """A table by what it holds, not by where it lies."""
        if self.table in (None, MEASURED):
            return self.parameters()
        return {**self.parameters(), "table": f"sha256:{sha256_of(Path(require_table(str(self.table))))}"}

    def prepare(self, prepass: Prepass) -> tuple[Guidance, dict[str, Any]]:
        """Measure the table, or take the one that was measured for this network."""
        if self.table != MEASURED:
            return self, {}
        table, facts = measured_table(prepass)
        return replace(self, table=str(table)), facts

    def combine(self, step: Step, cond: Tensor, null: Tensor) -> Tensor:
        """CFG in noise predictions with a coefficient of its own for the null label's."""
        if self.table == MEASURED:
            raise UserError("recfg: table=measured is measured by `guidance-bench run`; in Python give a file")
        if self.table is None:
            ratio = per_sample_dot(cond, null) / per_sample_dot(null, null).clamp_min(1e-12)
        else:
            ratio = ratio_at(self.table, step).to(cond)
        return self.scale * cond - (self.scale - 1) * ratio * null
