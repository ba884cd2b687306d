"""The updates of the methods that came later, recomputed in a few plain lines from stored predictions."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.fft
import scipy.stats
import torch
from stored_predictions import COND, GENERATOR, MOVED, NULL, OTHER, T_NEXT, T, X, guided, lookup, same, step

import guidance_bench as gb
from guidance_bench.guidance.filters import high_pass
from guidance_bench.sampling.driver import run_guide

D = COND - NULL
CFG = NULL + 1.7 * D


def each(values) -> torch.Tensor:
    return torch.stack(list(values))


def test_momentum():
    """v + a (v - m); m starts at v and keeps a share b."""
    first = step()
    same(guided("momentum", first), COND)
    same(first.state["mean"], COND)
    second = step(state={"mean": OTHER})
    same(guided("momentum", second, alpha=0.5, beta=0.6), COND + 0.5 * (COND - OTHER))
    same(second.state["mean"], 0.4 * COND + 0.6 * OTHER)
    outside = step(0.95, 0.9, state={"mean": OTHER})
    same(guided("momentum", outside, high=0.9), COND)
    same(outside.state["mean"], 0.4 * COND + 0.6 * OTHER)
    late = replace(step(stage=1, state={"mean": OTHER}), first={"mean": NULL})
    same(guided("momentum", late, alpha=0.5), COND + 0.5 * (COND - NULL))


def test_higs_against_scipys_cosine_transform():
    now, mean = X - T * CFG, X - T * OTHER
    first = step()
    same(guided("higs", first, scale=1.7), CFG)
    same(first.state["mean"], 0.75 * now)
    weight = 2.0 * math.sqrt((T - 0.4) / (0.95 - 0.4))
    spectrum = scipy.fft.dctn((now - mean).numpy(), axes=(2, 3), norm="ortho")
    radius = np.hypot(np.arange(4)[:, None] / 4, np.arange(4) / 4)
    kept = scipy.fft.idctn(spectrum / (1 + np.exp(-50 * (radius - 0.05))), axes=(2, 3), norm="ortho")
    second = step(state={"mean": mean})
    same(guided("higs", second, scale=1.7), (X - now - weight * torch.from_numpy(kept)) / T)
    same(second.state["mean"], 0.75 * now + 0.25 * mean)
    for outside in (step(0.4, 0.3, state={"mean": mean}), step(0.96, 0.9, state={"mean": mean})):
        same(guided("higs", outside, scale=1.7), CFG)


def test_higs_weakens_what_is_parallel():
    now, mean = X - T * COND, X - T * OTHER
    change = now - mean
    along = each((c * n).sum() / (n * n).sum() * n for c, n in zip(change, now, strict=True))
    weight = 2.0 * math.sqrt((T - 0.4) / 0.55)
    expected = now + weight * high_pass(change - 0.7 * along, 0.05)
    same(guided("higs", step(state={"mean": mean}), scale=1.0, parallel=0.3), (X - expected) / T)


def test_a_high_pass_drops_the_mean_and_keeps_stripes():
    flat, stripes = torch.ones(1, 1, 8, 8, dtype=torch.float64), (-1.0) ** torch.arange(8, dtype=torch.float64)
    assert high_pass(flat, 0.2).abs().max() < 1e-3
    same(high_pass(flat * stripes, -1.0), flat * stripes)


@pytest.mark.parametrize(("scale", "keep_norm"), [(1.7, True), (1.7, False), (6.0, True), (6.0, False)])
def test_adg(scale, keep_norm):
    out = []
    for c, u in zip(X - T * COND, X - T * NULL, strict=True):
        angle = math.acos(float((c * u).sum() / (c.norm() * u.norm())))
        turn = min((scale - 1) * angle, math.pi / 3)
        across = c - (c * u).sum() / (u * u).sum() * u  # of c - u likewise
        turned = math.cos(turn) * c + math.sin(turn) / math.sin(angle) * across
        out.append(turned * c.norm() / turned.norm() if keep_norm else turned)
    same(guided("adg", scale=scale, keep_norm=keep_norm), (X - each(out)) / T)


def test_power_law():
    same(guided("power_law", scale=1.3), each(c + 0.3 * d.norm() ** 0.9 * d for c, d in zip(COND, D, strict=True)))
    same(guided("power_law", scale=1.7, alpha=0.0), CFG)


def test_energy_preserving():
    cond, guess = X - T * COND, X - T * CFG
    kept = each(g * c.norm() / g.norm() for g, c in zip(guess, cond, strict=True))
    same(guided("energy_preserving", scale=1.7), (X - kept) / T)

    def middle(x: torch.Tensor) -> float:
        squares = x.square().flatten().numpy()
        low, high = np.percentile(squares, [45, 55])
        return float(squares[(squares >= low) & (squares <= high)].sum())

    robust = each(g * math.sqrt(middle(c) / middle(g)) for g, c in zip(guess, cond, strict=True))
    same(guided("energy_preserving", scale=1.7, robust=True), (X - robust) / T)


def test_beta_cfg_against_scipys_density():
    weight = 1.7 * scipy.stats.beta.pdf(1 - T, 2, 3)
    same(guided("beta_cfg", scale=1.7, b=3.0), each(u + weight * d / d.norm() for u, d in zip(NULL, D, strict=True)))
    same(guided("beta_cfg", scale=1.7, a=1.0, b=1.0, gamma=0.0), CFG)
    same(guided("beta_cfg", step(1.0, 0.9)), NULL)


def test_exponential_schedule():
    weight = 1 + 0.7 * math.exp(math.log(2) * (1 - T))
    same(guided("cfg_schedule", scale=1.7, shape="exponential"), NULL + weight * D)
    same(guided("cfg_schedule", scale=1.7, shape="exponential", rate=1.0), NULL + (1 + 0.7 * math.exp(1 - T)) * D)
    assert "rate" not in gb.METHODS.create("cfg_schedule").parameters()


WEAK = torch.randn(X.shape, generator=GENERATOR, dtype=torch.float64)
INTERNAL, INTERNAL_NULL = (torch.randn(X.shape, generator=GENERATOR, dtype=torch.float64) for _ in range(2))


def heads(query: gb.Query) -> torch.Tensor:
    if query.net == "weak":
        return WEAK
    if query.tap is not None:
        return INTERNAL_NULL if query.label == "null" else INTERNAL
    return lookup(query)


def answered(name: str, **parameters) -> torch.Tensor:
    return run_guide(gb.METHODS.create(name, **parameters), step(), lambda queries: tuple(map(heads, queries)))


def test_autoguidance_mixed_with_cfg():
    mixed = COND + 0.7 * (0.6 * (COND - WEAK) + 0.4 * (COND - NULL))
    same(answered("autoguidance", scale=1.7, share=0.6), mixed)
    same(answered("autoguidance", scale=1.7, share=0.0), CFG)
    same(answered("autoguidance", scale=1.7), WEAK + 1.7 * (COND - WEAK))
    assert "share" not in gb.METHODS.create("autoguidance").parameters()


def test_ig_cfg_with_a_null_scale_of_its_own():
    cond = INTERNAL + 1.4 * (COND - INTERNAL)
    for null_scale in (None, 1.2):
        own = 1.4 if null_scale is None else null_scale
        null = INTERNAL_NULL + own * (NULL - INTERNAL_NULL)
        guided_velocity = answered("ig_cfg", ig_scale=1.4, cfg_scale=1.3, cfg_high=1.0, null_scale=null_scale)
        same(guided_velocity, null + 1.3 * (cond - null))
    assert "null_scale" not in gb.METHODS.create("ig_cfg").parameters()


class Linear:
    """A network whose velocity is a x + b, b of the class or of none."""

    def __init__(self, slope: float = 0.3) -> None:
        self.slope = slope

    def __call__(self, queries: tuple[gb.Query, ...]) -> tuple[torch.Tensor, ...]:
        return tuple(self.velocity(X if q.x is None else q.x, q.label == "null") for q in queries)

    def velocity(self, x: torch.Tensor, null: bool = False) -> torch.Tensor:
        return self.slope * x + (NULL if null else COND)

    def moved(self, x: torch.Tensor, times: int) -> torch.Tensor:
        for _ in range(times):
            half = x + 0.05 * self.velocity(x, null=True)
            x = half - 0.05 * self.velocity(half)
        return x

    def cfg(self, x: torch.Tensor) -> torch.Tensor:
        return self.slope * x + CFG


@pytest.mark.parametrize("solver", ["euler", "euler_maruyama"])
def test_cfg_mp_leads_where_cfg_leads_from_the_moved_latents(solver):
    network, at = Linear(), replace(step(), transition=gb.SOLVERS.create(solver).transition(T, T_NEXT))
    velocity = run_guide(gb.METHODS.create("cfg_mp", scale=1.7, moves=2), at, network)
    moves, x = at.transition, network.moved(X, 2)
    same(moves.x_scale * X + moves.velocity_scale * velocity, moves.x_scale * x + moves.velocity_scale * network.cfg(x))
    late = step(0.3, 0.2)
    same(run_guide(gb.METHODS.create("cfg_mp", scale=1.7), late, network), network.cfg(X))


def test_cfg_mp_moves_a_whole_heun_step():
    network, method, first = Linear(), gb.METHODS.create("cfg_mp", scale=1.7, moves=1), step()
    start, h = network.moved(X, 1), T - T_NEXT
    one = run_guide(method, first, network)
    same(X - h * one, start - h * network.cfg(start))
    second = replace(step(T_NEXT, T_NEXT, stage=1), first=first.state, t_start=T)
    two = run_guide(method, second, lambda queries: tuple(map(lookup, queries)))
    same(X - h * (one + two) / 2, start - h * (network.cfg(start) + CFG) / 2)


def test_moved_latents_are_refused_without_steps():
    with pytest.raises(gb.UserError, match="adaptive solver"):
        replace(step(), transition=None).starting_from(MOVED)
