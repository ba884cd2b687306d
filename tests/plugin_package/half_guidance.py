"""A method that an installed package offers by entry point."""

from guidance_bench import Guidance, register_method


@register_method("half_guidance")
class HalfGuidance(Guidance):
    """CFG in the noisier half of the path."""

    summary = "CFG for t > 0.5"
    scale: float = 1.5

    def guide(self, step, query):
        """One forward of two while t > 0.5."""
        if step.t <= 0.5:
            return (yield query)
        cond, null = yield query, query.null()
        return null + self.scale * (cond - null)
