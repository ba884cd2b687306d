from guidance_bench import Guidance, register_method


@register_method("late_cfg")
class LateCFG(Guidance):
    scale: float = 1.8
    until: float = 0.6

    def guide(self, step, query):  # query: this sample, its class, the main network, final head
        if step.t > self.until:
            return (yield query)
        cond, null = yield query, query.null()  # one batched forward
        return null + self.scale * (cond - null)
