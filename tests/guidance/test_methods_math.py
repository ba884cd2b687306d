"""Each method's update, recomputed in a few plain lines from stored predictions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from stored_predictions import (
    COND,
    EDITED,
    GENERATOR,
    MAP,
    MOVED,
    MOVED_NULL,
    NULL,
    OTHER,
    SHAPE,
    T_NEXT,
    N,
    T,
    X,
    guided,
    lookup,
    same,
    step,
)

import guidance_bench as gb
from guidance_bench.core.randomness import KeyedRandom
from guidance_bench.guidance.filters import collapse, gaussian_blur, pyramid
from guidance_bench.sampling.driver import run_guide


def each(values) -> torch.Tensor:
    return torch.stack(list(values))


CFG = NULL + 1.7 * (COND - NULL)


@pytest.mark.parametrize(
    ("shape", "weight"),
    [
        ("constant", 1.7),
        ("linear", 1 + 2 * 0.7 * 0.4),
        ("cosine", 1 + 0.7 * (1 - math.cos(math.pi * 0.4))),
        ("power_cosine", 1 + 0.7 * (1 - math.cos(math.pi * 0.4**2)) / 2),
        ("clamp_linear", 1.65),
    ],
)
def test_schedules(shape, weight):
    same(guided("cfg_schedule", scale=1.7, shape=shape, power=2.0, floor=1.65), NULL + weight * (COND - NULL))


def test_cfgpp_is_cfg_of_another_scale_under_euler():
    """x' = (1 - t') x0(v_null + lambda D) + t' eps(v_null), and CFG with lambda t (1 - t') / (t - t') leads there."""
    lam = 0.6
    mixed = NULL + lam * (COND - NULL)
    x_next = (1 - T_NEXT) * (X - T * mixed) + T_NEXT * (X + (1 - T) * NULL)
    same(X + (T_NEXT - T) * guided("cfgpp", scale=lam), x_next)
    weight = lam * T * (1 - T_NEXT) / (T - T_NEXT)
    same(guided("cfgpp", scale=lam), guided("cfg", scale=weight))


def test_apg():
    first, second = step(), None
    x0c, x0u = X - T * COND, X - T * NULL
    g, out = x0c - x0u, []
    for gi, ci in zip(g, x0c, strict=True):
        gi = gi * min(1.0, 0.3 * math.sqrt(gi.numel()) / float(gi.norm()))
        parallel = float((gi * ci).sum() / ci.norm()) * ci / ci.norm()
        out.append(ci + (4.0 - 1) * (gi - parallel + 0.2 * parallel))
    same(guided("apg", first, scale=4.0, norm=0.3, parallel=0.2), (X - each(out)) / T)
    same(first.state["direction"], g)
    second = step(state=dict(first.state))
    guided("apg", second, scale=4.0, momentum=-0.5)
    same(second.state["direction"], 0.5 * g)


def test_cfg_zero():
    optimal = each((c * u).sum() / (u * u).sum() * u for c, u in zip(COND, NULL, strict=True))
    same(guided("cfg_zero", scale=1.7), optimal + 1.7 * (COND - optimal))
    assert guided("cfg_zero", step(index=0)).count_nonzero() == 0


def test_tcfg_by_singular_value_decomposition():
    ec, eu = X + (1 - T) * COND, X + (1 - T) * NULL
    out = []
    for c, u in zip(ec.flatten(1), eu.flatten(1), strict=True):
        right = torch.linalg.svd(torch.stack([u, c]), full_matrices=False).Vh[0]
        kept = (u @ right) * right
        out.append((kept + 1.7 * (c - kept)).view(SHAPE))
    same(guided("tcfg", scale=1.7), (each(out) - X) / (1 - T))


def test_mambo_g():
    weights = [1 + 3 * math.exp(-0.5 * float((c - u).norm() / u.norm())) for c, u in zip(COND, NULL, strict=True)]
    expected = each(u + w * (c - u) for w, c, u in zip(weights, COND, NULL, strict=True))
    same(guided("mambo_g", scale=4.0, alpha=0.5), expected)


def reduce_and_enlarge(size: int) -> tuple[np.ndarray, np.ndarray]:
    """(size / 2, size) and (size, size / 2) matrices of a pyramid's step down and up along one line."""

    def blur(n: int) -> np.ndarray:
        matrix = np.zeros((n, n))
        for row in range(n):
            for offset, weight in zip(range(-2, 3), (1, 4, 6, 4, 1), strict=True):
                place = abs(row + offset)
                matrix[row, place if place < n else 2 * (n - 1) - place] += weight / 16
        return matrix

    half = size // 2
    down, up = np.zeros((half, size)), np.zeros((size, half))
    for i in range(half):
        down[i, 2 * i : 2 * i + 2] = 0.5  # bilinear at the midpoint of two
    for i in range(size):
        place = min(max((i + 0.5) / 2 - 0.5, 0), half - 1)
        low = min(int(place), half - 2)
        up[i, low], up[i, low + 1] = 1 - (place - low), place - low
    return down @ blur(size), blur(size) @ up


def test_fdg():
    update = COND - NULL
    down, up = (torch.from_numpy(m) for m in reduce_and_enlarge(4))
    low = up @ (down @ update @ down.T) @ up.T
    same(guided("fdg", low_scale=1.2, high_scale=2.0), COND + 0.2 * low + 1.0 * (update - low))
    same(guided("fdg", low_scale=1.7, high_scale=1.7, levels=3), CFG)
    flat = torch.ones(1, 1, 8, 8, dtype=torch.float64)
    same(pyramid(flat, 3)[2], torch.ones(1, 1, 2, 2, dtype=torch.float64))
    stripes = flat * (-1.0) ** torch.arange(8)
    assert pyramid(stripes, 2)[1].abs().max() < 1e-9  # the highest frequency is not low
    for size in ((8, 8), (5, 7), (1, 1)):
        x = torch.randn(2, 3, *size, generator=GENERATOR, dtype=torch.float64)
        same(collapse(pyramid(x, 3)), x)


def test_fdg_projects_each_band():
    bands = zip(pyramid(COND - NULL, 2), pyramid(COND, 2), (2.0, 1.2), strict=True)
    kept = []
    for update, strong, scale in bands:
        along = each((u * c).sum() / (c * c).sum() * c for u, c in zip(update, strong, strict=True))
        kept.append((scale - 1) * (update - along + 0.3 * along))
    same(guided("fdg", low_scale=1.2, high_scale=2.0, parallel=0.3), COND + collapse(kept))
    assert gb.METHODS.create("fdg", parallel=0.3).space == "v" and gb.METHODS.create("fdg").space == "any"


def test_random_condition_and_edits():
    away = {name: guided(name, scale=1.7) for name in ("icg", "tsg", "pag", "seg", "tpg")}
    same(away.pop("icg"), OTHER + 1.7 * (COND - OTHER))
    for velocity in (*away.values(), guided("icg", scale=1.7, condition="noise")):
        same(velocity, EDITED + 1.7 * (COND - EDITED))
    same(guided("cads", step(0.8, 0.7), scale=1.7), NULL + 1.7 * (EDITED - NULL))
    same(guided("cads", step(0.4, 0.3), scale=1.7), CFG)
    asked = []

    def spy(queries):
        asked.extend(queries)
        return tuple(lookup(q) for q in queries)

    run_guide(gb.METHODS.create("cads", both=True), step(0.8, 0.7), spy)
    assert [q.label for q in asked] == ["class", "null"] and [q.edits[0].random.name for q in asked] == ["", "null"]


def test_cads_noise():
    method = gb.METHODS.create("cads", noise=0.2, tau1=0.5, tau2=0.9)
    gamma = (0.9 - 0.6) / 0.4
    assert method.amount(0.6) == pytest.approx(0.2 * math.sqrt(1 - gamma) / math.sqrt(gamma))
    assert method.amount(0.5) == 0 and method.amount(0.95) == math.inf


def test_cads_of_classes_that_are_all_the_same_is_finite():
    """Their spread is zero: noise of no size is no reason to divide by it."""
    config = {"input_size": 8, "patch_size": 4, "in_channels": 1, "num_classes": 3, "hidden_size": 16, "depth": 1}
    network = gb.BACKBONES.create("sit", num_heads=2, **config).build()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "y_embed" in name:
                parameter.fill_(0.5)
    noise = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    made = gb.sample(
        network,
        gb.METHODS.create("cads"),
        gb.SOLVERS.create("euler", steps=4),
        labels=torch.tensor([0, 1]),
        noise=noise,
    )
    assert made.isfinite().all()


def test_skips():
    same(guided("slg", scale=1.7, skip_scale=1.4), CFG + 0.4 * (COND - EDITED))
    same(guided("slg", step(0.9, 0.8), scale=1.7, high=0.7), CFG)
    same(guided("s2", scale=1.7, strength=0.25), CFG + 0.25 * (COND - EDITED))
    same(guided("s2", step(0.95, 0.9), scale=1.7), CFG)
    same(guided("sgg", scale=1.7), CFG)
    same(guided("sgg", step(0.2, 0.1), weak_scale=1.4), EDITED + 1.4 * (COND - EDITED))


def test_sag_in_noise_predictions():
    x0 = X - T * COND
    attended = (MAP.mean(1).sum(1) > 1).double().view(N, 1, 2, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert 0 < attended.mean() < 1
    degraded = attended * gaussian_blur(x0, 1.0) + (1 - attended) * x0
    x_degraded = (1 - T) * degraded + T * (X + (1 - T) * COND)
    eps, eps_degraded = X + (1 - T) * COND, x_degraded + (1 - T) * MOVED
    same(guided("sag", scale=1.2), (eps + 0.2 * (eps - eps_degraded) - X) / (1 - T))


def test_self_guidance():
    same(guided("self_guidance", scale=3.0), COND + 2.0 * (COND - MOVED))
    late = step(0.4, 0.3, state={"velocity": OTHER})
    same(guided("sg_prev", late, scale=3.0), COND + 2.0 * (COND - OTHER))
    same(late.state["velocity"], COND)
    same(guided("sg_prev", step(state={"velocity": OTHER}), scale=3.0), COND)


def test_adaptive():
    cosines = [float((c * u).sum() / (c.norm() * u.norm())) for c, u in zip(COND, NULL, strict=True)]
    threshold = sorted(cosines)[1]
    first = step()
    same(guided("adaptive", first, scale=1.7, threshold=threshold), CFG)
    going = torch.tensor([value <= threshold for value in cosines])
    assert first.state["going"].tolist() == going.tolist() and going.sum() == 2
    later = guided("adaptive", step(state=dict(first.state)), scale=1.7, threshold=threshold)
    same(later, torch.where(going.view(-1, 1, 1, 1), CFG, COND))


def test_rectified_cfgpp():
    asked = []

    def spy(queries):
        asked.extend(queries)
        return tuple(lookup(q) for q in queries)

    same(run_guide(gb.METHODS.create("rectified_cfgpp", scale=1.7), step(), spy), COND + 0.7 * (MOVED - MOVED_NULL))
    assert [query.t for query in asked] == [None, pytest.approx(0.55), pytest.approx(0.55)]
    same(asked[1].x, X - 0.05 * COND)
    same(guided("rectified_cfgpp", scale=1.7, power=2.0), COND + 0.7 * 0.4**2 * (MOVED - MOVED_NULL))
    same(guided("rectified_cfgpp", step(T, T, stage=1), scale=1.7), CFG)


def test_rescale():
    rescaled = each(g * (c.std() / g.std()) for g, c in zip(CFG, COND, strict=True))
    same(guided("cfg_rescale", scale=1.7, rescale=0.7), 0.7 * rescaled + 0.3 * CFG)


def test_feedback():
    method = gb.METHODS.create("feedback", pi=0.9, t0=0.5, t1=0.4)
    at = step()
    same(guided("feedback", at, pi=0.9), NULL + 1 / 0.9 * (COND - NULL))
    x_next = X + (T_NEXT - T) * CFG
    state = method.observe(at, x_next, at.state)
    sigma, sigma_next = T / (1 - T), T_NEXT / (1 - T_NEXT)
    ratio = (sigma_next / sigma) ** 2
    variance = (sigma**2 - sigma_next**2) * ratio
    y, y_next = X / (1 - T), x_next / (1 - T_NEXT)
    errors = [(y_next - ratio * y - (1 - ratio) * (X - T * v)).flatten(1).square().sum(1) for v in (COND, NULL)]
    delta = math.log(0.1 * 3 / 2) / (0.5 * 10)
    s1, s2 = 0.5 / 0.5, 0.4 / 0.6
    tau = 2 * (s1**2 - s2**2) * s2**2 / s1**2 / 10 * abs(delta)
    log_p = (-tau / (2 * variance) * (errors[0] - errors[1]) + delta).clamp(math.log(0.1 * 10 / 9), 3)
    same(state["log_posterior"].flatten(), log_p)
    p = log_p.exp().view(-1, 1, 1, 1)
    same(guided("feedback", step(state=dict(state)), pi=0.9), NULL + p / (p - 0.1) * (COND - NULL))


def test_recfg_with_and_without_a_table(tmp_path):
    ec, eu = X + (1 - T) * COND, X + (1 - T) * NULL
    own = each((c * u).sum() / (u * u).sum() * u for c, u in zip(ec, eu, strict=True))
    same(guided("recfg", scale=1.7), (1.7 * ec - 0.7 * own - X) / (1 - T))
    ratios = torch.rand(2, 3, *SHAPE, generator=GENERATOR, dtype=torch.float64).float()
    save_file({"times": torch.tensor([0.7, 0.5]), "ratios": ratios}, tmp_path / "table.safetensors")
    rho = (ratios[0] + ratios[1]).double() / 2  # t = 0.6 lies midway; the labels are 0, 1, 2
    result = guided("recfg", scale=1.7, table=str(tmp_path / "table.safetensors"))
    torch.testing.assert_close(result, (1.7 * ec - 0.7 * rho * eu - X) / (1 - T), rtol=1e-5, atol=1e-5)


def test_recfg_measures_its_table(tmp_path):
    from guidance_bench.methods.recfg_table import load_table, make_table

    toy = gb.BACKBONES.create("toy", num_classes=2).build()
    latents, labels = torch.randn(6, 2, 1, 1, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1] * 3)
    make_table(tmp_path / "t.safetensors", toy, latents, labels, times=(0.2, 0.6), batch=4)
    times, ratios = load_table(str(tmp_path / "t.safetensors"))
    noise = KeyedRandom(0, range(6)).normal("recfg", (2, 1, 1)).float()
    x, t = 0.4 * latents + 0.6 * noise, torch.full((6,), 0.6)
    ec, eu = (x + 0.4 * toy(x, t, y).velocity for y in (labels, torch.full_like(labels, 2)))
    assert times.tolist() == pytest.approx([0.6, 0.2])
    torch.testing.assert_close(ratios[0, 1], (ec * eu)[1::2].sum(0) / (eu * eu)[1::2].sum(0), rtol=1e-4, atol=1e-5)
    with pytest.raises(gb.UserError, match="does not exist"):
        gb.sample(toy, gb.METHODS.create("recfg", table="no"), "euler", labels=labels, noise=latents)
