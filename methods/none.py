"""No guidance: the conditional velocity."""

from __future__ import annotations

from guidance_bench.guidance.method import Guidance, Guide, Query, Step, register_method


@register_method("none")
class NoGuidance(Guidance):
    """The conditional velocity as it is; every method's neutral setting gives the same."""

    summary = "the conditional prediction as it is"

    def evaluations(self, depth: int) -> tuple[float, float]:
        """One."""
        return 1, 1

    def guide(self, step: Step, query: Query) -> Guide:
        """v(x, t, c)."""
        return (yield query)
