"""Our methods beside the formulas of programs that cannot be run here, written out from their source.

Each is computed in the program's own terms on the same tensors and brought to a velocity. Run as a program, it writes
the record ``benchmarks/formulas.json``, which a column of the methods' page is made of; tests hold the tolerances. What
was only read, and where, is in ``READ``.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT)]

import scipy.stats  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from guidance_bench.methods.ssg import swapped  # noqa: E402
from stored_predictions import COND, GENERATOR, NULL, SHAPE, T_NEXT, N, T, X, guided, step  # noqa: E402
from torch import Tensor  # noqa: E402

import guidance_bench as gb  # noqa: E402
from guidance_bench.core.environment import describe  # noqa: E402
from guidance_bench.sampling.driver import Driver, run_guide  # noqa: E402
from guidance_bench.storage.files import write_json  # noqa: E402

RECORD = ROOT / "benchmarks" / "formulas.json"
#: Ours and theirs.
Pairs = Iterator[tuple[Tensor, Tensor]]

#: Where the formulas of the others were read.
THIRD_PARTY = "third-party description of the paper"
READ = {
    "cfg_schedule": f"{THIRD_PARTY}; the forms in t are ours",
    "cfgpp": "read: CFGpp-diffusion/CFGpp",
    "rectified_cfgpp": "read: shreshthsaini/Rectified-CFGpp",
    "power_law": THIRD_PARTY,
    "recfg": "read: thuxmf/recfg",
    "feedback": "read: FelixKoulischer/FBG\\_using\\_edm2",
    "adaptive": THIRD_PARTY,
    "cads": THIRD_PARTY,
    "icg": THIRD_PARTY,
    "tsg": THIRD_PARTY,
    "sag": "read: diffusers 0.42.1, its Stable Diffusion pipeline",
    "tpg": "read: TaatiTeam/Token-Perturbation-Guidance; adapted",
    "erg": f"{THIRD_PARTY}; read: ace-step/ACE-Step @91fdfb9",
    "dropout": "read: diffusers 0.42.1, AutoGuidance",
    "s2": f"{THIRD_PARTY}; its repository holds no code",
    "sgg": "read: 851695e35/SGG",
    "self_guidance": "read: maple-research-lab/Self-Guidance",
    "sg_prev": "read: maple-research-lab/Self-Guidance",
    "momentum": THIRD_PARTY,
    "higs": THIRD_PARTY,
}


def norm(x: Tensor) -> Tensor:
    return x.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


def noise(v: Tensor, x: Tensor = X) -> Tensor:
    return x + (1 - T) * v


def from_noise(eps: Tensor) -> Tensor:
    return (eps - X) / (1 - T)


def reg() -> Pairs:
    """In noise predictions of variance-preserving latents; abar is that of our time."""
    toy = gb.BACKBONES.create("toy").build()
    x, labels = X[:, :, :1, :1], torch.tensor([0, 1, 2])
    at = replace(step(), x=x, labels=labels, num_classes=4)
    ours = run_guide(gb.METHODS.create("reg", scale=1.7), at, Driver(toy, labels, None, gb.Ledger()).answering(at))
    size = math.hypot(1 - T, T)
    half = (x / size).requires_grad_()

    def eps(y: Tensor) -> Tensor:
        return noise(
            toy.velocity(half * size, torch.full((N,), T), y, torch.full((N, 1, 1), 0.25).double()), half * size
        )

    cond, null = eps(labels), eps(torch.full((N,), 4))
    (slope,) = torch.autograd.grad(cond.sum(), half)
    coefficient = 0.7 * (1 - math.sqrt(1 - ((1 - T) / size) ** 2) * slope)
    theirs = (cond + coefficient * (cond - null)).detach()
    yield ours, (theirs - x) / (1 - T)


def ig_cfg() -> Pairs:
    """With a scale of Internal Guidance of its own in the null branch; data predictions or velocities alike."""
    base, base_null = (torch.randn(N, *SHAPE, generator=GENERATOR, dtype=torch.float64) for _ in range(2))
    answers = {
        ("class", None): COND,
        ("null", None): NULL,
        ("class", "internal"): base,
        ("null", "internal"): base_null,
    }
    method = gb.METHODS.create("ig_cfg", ig_scale=1.78, cfg_scale=1.3, cfg_high=1.0, null_scale=1.2)
    ours = run_guide(method, step(), lambda queries: tuple(answers[q.label, q.tap] for q in queries))
    cond, null = base + 1.78 * (COND - base), base_null + 1.2 * (NULL - base_null)
    yield ours, null + 1.3 * (cond - null)


def beta_cfg() -> Pairs:
    """In noise predictions, whose difference is 1 - t times that of velocities: so is the scale's unit."""
    gamma, a, b = 0.8, 2.0, 3.0
    difference = noise(COND) - noise(NULL)
    weight = 1.7 * scipy.stats.beta.pdf(1 - T, a, b)
    theirs = noise(NULL) + weight * difference / norm(difference) ** gamma
    yield guided("beta_cfg", scale=1.7 / (1 - T) ** gamma, a=a, b=b, gamma=gamma), from_noise(theirs)


def adg() -> Pairs:
    """Without the step that brings the norm back: theirs is over the channels at each place, ours over a sample."""
    text, uncond = X - T * COND, X - T * NULL
    for scale in (1.7, 6.0):
        weight = scale - 1 + 1e-3
        angle = torch.acos((text * uncond).sum((1, 2, 3), keepdim=True) / (norm(text) * norm(uncond)))
        turned = (weight * angle).clip(-3.14 / 3, 3.14 / 3)
        difference = text - uncond
        along = (difference * uncond).sum((1, 2, 3), keepdim=True) / (norm(uncond) ** 2 + 1e-8) * uncond
        made = turned.cos() * text + (difference - along) * turned.sin() / angle.sin()
        yield guided("adg", scale=scale + 1e-3, limit=3.14 / 3, keep_norm=False), (X - made) / T


def energy_preserving() -> Pairs:
    """Theirs takes whatever the network predicts, here data predictions."""
    cond, null = X - T * COND, X - T * NULL
    made = cond + 0.7 * (cond - null)
    energy = [x.square().sum((1, 2, 3), keepdim=True) for x in (cond, made)]
    yield guided("energy_preserving", scale=1.7), (X - made * (energy[0] / energy[1]) ** 0.5) / T


def cfg_mp() -> Pairs:
    """Two moves without acceleration, in variance-preserving latents with data time 1 - t; theirs adds 1e-7 to t."""

    def velocity(x: Tensor, null: bool) -> Tensor:
        return 0.3 * x + (NULL if null else COND)

    at = step()
    ours = run_guide(
        gb.METHODS.create("cfg_mp", scale=1.7, moves=2),
        at,
        lambda queries: tuple(velocity(X if q.x is None else q.x, q.label == "null") for q in queries),
    )
    scale = math.hypot(1 - T, T)
    alpha, sigma, dt = (1 - T) / scale, T / scale, T - T_NEXT

    def data_velocity(latents: Tensor, null: bool) -> Tensor:
        eps = noise(velocity(scale * latents, null), scale * latents)
        return ((latents - sigma * eps) / alpha - scale * latents) / (T + 1e-7)

    latents = X / scale
    for _ in range(2):
        half = (scale * latents - dt / 2 * data_velocity(latents, True)) / scale
        latents = (scale * half + dt / 2 * data_velocity(half, False)) / scale
    cond, null = data_velocity(latents, False), data_velocity(latents, True)
    yield X - dt * ours, scale * latents + dt * (null + 1.7 * (cond - null))


def swap(rows: Tensor, ratio: float) -> Tensor:
    """Unlike rows (R, D) of one sample swapped: all pairs are written one after the other, in either direction."""
    unit = F.normalize(rows, dim=1)
    cosine = unit @ unit.T
    pairs = [(i, j) for i in range(len(rows)) for j in range(i + 1, len(rows))]
    pairs = sorted(pairs, key=lambda pair: float(cosine[pair]))[: int(ratio * len(rows))]
    order = list(range(len(rows)))
    for i, j in pairs:
        order[i] = j
    for i, j in pairs:
        order[j] = i
    return rows[order]


def ssg() -> Pairs:
    """What is swapped, on random tokens."""
    tokens = torch.randn(N, 40, 12, generator=GENERATOR)
    yield swapped(tokens, 0.1), torch.stack([swap(sample, 0.1) for sample in tokens])
    yield swapped(tokens, 0.4), torch.stack([swap(sample, 0.4) for sample in tokens])


def swg() -> Pairs:
    """What is made of the windows' predictions; they are cut out there, and here see no other tokens."""
    x, plain, *crops = (torch.randn(N, 2, 32, 32, generator=GENERATOR, dtype=torch.float64) for _ in range(6))
    total, count = torch.zeros_like(x), torch.zeros_like(x)
    for crop, (i, j) in zip(crops, product(range(2), range(2)), strict=True):
        rows, columns = (slice(12 * k, 12 * k + 20) for k in (i, j))
        total[:, :, rows, columns] += crop[:, :, rows, columns]
        count[:, :, rows, columns] += 1
    for masked in (True, False):
        method, at = gb.METHODS.create("swg", scale=1.5, masked=masked), replace(step(), x=x, tokens=256)
        ours = run_guide(method, at, lambda queries: (plain, *crops) if len(queries) == 5 else ())
        yield ours, plain + 0.5 * (count > 1 if masked else 1.0) * (plain - total / count)


#: Every method with a program whose formula was read, and the program.
COMPARED: dict[str, tuple[Callable[[], Pairs], str]] = {
    "reg": (reg, "zhengqigao/REG @3ab2456"),
    "ig_cfg": (ig_cfg, "nanovisionx/RAEv2 @8a0d238"),
    "beta_cfg": (beta_cfg, "gmum/beta-CFG @517c790"),
    "adg": (adg, "jinc7461/ADG @4f7d90a"),
    "energy_preserving": (energy_preserving, "Totoro97/minFM @3855686"),
    "cfg_mp": (cfg_mp, "LeonSuZhengYi/CFG-MP @27aa9a3"),
    "ssg": (ssg, "VISION-SJTU/SSG @0958615"),
    "swg": (swg, "HHU-MMBS/swg\\_bmvc2025\\_official @2ab1a60"),
}


def difference(name: str) -> float:
    """The largest difference of a method from the written formula, relative to the largest value."""
    pairs = COMPARED[name][0]()
    return max(float((a - b).abs().max() / b.abs().max().clamp_min(1e-300)) for a, b in pairs)


if __name__ == "__main__":
    found = {name: {"program": program, "difference": difference(name)} for name, (_, program) in COMPARED.items()}
    write_json(RECORD, {"environment": describe(torch.device("cpu")), "methods": found})
