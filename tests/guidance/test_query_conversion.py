"""A query at other latents or another time is converted there, not at the step's."""

from __future__ import annotations

import pytest
import torch

import guidance_bench as gb
from guidance_bench.guidance.method import Guidance


@pytest.mark.parametrize("space", ["x0", "eps"])
def test_queries_elsewhere_are_converted_at_their_own_latents_and_time(space):
    """x0 = x - t v and eps = x + (1 - t) v, at the latents and the time that the query names."""
    toy = gb.BACKBONES.create("toy").build()
    labels, seen = torch.tensor([0, 1]), []

    class Elsewhere(Guidance):
        name = "elsewhere"

        def guide(self, step, query):
            x, t = step.x * 0.5 + 1, step.t * 0.5
            answers = yield query.at(x=x), query.at(t=t), query.at(x=x, t=t)
            places = (x, step.t), (step.x, t), (x, t)
            seen.append((answers, places))
            return answers[0]

    moved = type("Moved", (Elsewhere,), {"space": space})()
    gb.sample(toy, moved, gb.SOLVERS.create("euler", steps=3), labels=labels, noise=torch.ones(2, 2, 1, 1))
    checked = 0
    for answers, places in seen:
        for answer, (x, t) in zip(answers, places, strict=True):
            if len(x) < 2 or not 1e-3 < t < 1 - 1e-3:
                continue
            velocity = toy(x.float(), torch.full((2,), t), labels).velocity.double()
            wanted = x - t * velocity if space == "x0" else x + (1 - t) * velocity
            torch.testing.assert_close(answer, wanted, rtol=1e-5, atol=1e-5)
            checked += 1
    assert checked >= 5
