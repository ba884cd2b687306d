"""Our methods beside the guiders of diffusers, on the same predictions; run as a program, it writes the record.

The record, ``benchmarks/guiders.json``, is what a column of the methods' page is made of; the tests hold the
tolerances. What is compared is in our convention; where both differ, the difference has a name: APG in its original
form on data predictions and TCFG on noise predictions (theirs: on whatever the network predicts).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT)]

import torch  # noqa: E402
from stored_predictions import COND, EDITED, GENERATOR, NULL, T, X, guided, lookup, step  # noqa: E402

import guidance_bench as gb  # noqa: E402
from guidance_bench.core.environment import describe  # noqa: E402
from guidance_bench.sampling.driver import run_guide  # noqa: E402
from guidance_bench.storage.files import write_json  # noqa: E402

RECORD = ROOT / "benchmarks" / "guiders.json"
WEAK = torch.randn(X.shape, generator=GENERATOR, dtype=torch.float64)

#: Ours and theirs.
Pairs = Iterator[tuple[torch.Tensor, torch.Tensor]]


def at(name: str, *arguments: Any, index: int = 4, **parameters: Any) -> Any:
    """A guider, at a step of ten."""
    from diffusers import guiders

    guider = getattr(guiders, name)(*arguments, **parameters)
    guider.set_state(step=index, num_inference_steps=10, timestep=None)
    return guider


def cfg() -> Pairs:
    yield guided("cfg", scale=1.7), at("ClassifierFreeGuidance", 1.7).forward(COND, NULL).pred


def cfg_rescale() -> Pairs:
    theirs = at("ClassifierFreeGuidance", 1.7, guidance_rescale=0.7).forward(COND, NULL).pred
    yield guided("cfg_rescale", scale=1.7, rescale=0.7), theirs


def cfg_zero() -> Pairs:
    """Theirs adds 1e-8 to the square of the norm."""
    for index in range(4):
        ours = guided("cfg_zero", step(index=index), scale=1.7, zero_steps=2)
        guider = at("ClassifierFreeZeroStarGuidance", 1.7, zero_init_steps=2, index=index)
        yield ours, guider.forward(COND, NULL).pred


def tcfg() -> Pairs:
    """By their singular value decomposition of noise predictions."""
    eps = [X + (1 - T) * v for v in (COND, NULL)]
    theirs = at("TangentialClassifierFreeGuidance", 1.7).forward(*eps).pred
    yield guided("tcfg", scale=1.7), (theirs - X) / (1 - T)


def mambo_g() -> Pairs:
    """Theirs cannot take the norm of four dimensions; over three it is the same."""
    theirs = at("MagnitudeAwareGuidance", 4.0, alpha=0.5).forward(COND.flatten(2), NULL.flatten(2)).pred
    yield guided("mambo_g", scale=4.0, alpha=0.5), theirs.view_as(X)


def fdg() -> Pairs:
    """With projection in the original form alone: the other one projects what it then adds to the null prediction."""
    plain = at("FrequencyDecoupledGuidance", [2.0, 1.2]).forward(COND, NULL).pred
    yield guided("fdg", low_scale=1.2, high_scale=2.0), plain
    form = {"parallel_weights": [0.3, 0.3], "use_original_formulation": True}
    projected = at("FrequencyDecoupledGuidance", [1.0, 0.2], **form).forward(COND, NULL).pred
    yield guided("fdg", low_scale=1.2, high_scale=2.0, parallel=0.3), projected


def apg() -> Pairs:
    """Three steps, in the original form, on data predictions."""
    guider = at(
        "AdaptiveProjectedGuidance",
        *(3.0, -0.5, 0.3 * math.sqrt(X[0].numel())),
        eta=0.2,
        use_original_formulation=True,
    )
    from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer

    guider.momentum_buffer = MomentumBuffer(-0.5)  # otherwise made by its pipeline
    method, state = gb.METHODS.create("apg", scale=4.0, norm=0.3, parallel=0.2, momentum=-0.5), {}
    for index in range(3):
        predictions = {"class": COND.roll(index, 0), "null": NULL.roll(-index, 0)}
        now = step(index=index, state=state)
        ours = run_guide(method, now, lambda queries, v=predictions: tuple(v[q.label] for q in queries))
        state = dict(now.state)
        yield ours, (X - guider.forward(*(X - T * v for v in predictions.values())).pred) / T


def slg() -> Pairs:
    """With CFG and without."""
    parts = {f"skip_layer_guidance_{k}": v for k, v in {"start": 0.0, "stop": 1.0, "layers": [1]}.items()}
    both = at("SkipLayerGuidance", 1.7, skip_layer_guidance_scale=0.4, **parts).forward(COND, NULL, EDITED).pred
    yield guided("slg", scale=1.7, skip_scale=1.4), both
    alone = at("SkipLayerGuidance", 1.0, skip_layer_guidance_scale=1.4, **parts).forward(COND, None, EDITED).pred
    yield guided("slg", scale=1.0, skip_scale=1.4), alone


def pag() -> Pairs:
    parts = {f"perturbed_guidance_{k}": v for k, v in {"scale": 1.7, "start": 0.0, "stop": 1.0, "layers": [1]}.items()}
    yield guided("pag", scale=1.7), at("PerturbedAttentionGuidance", 1.0, **parts).forward(COND, None, EDITED).pred


def seg() -> Pairs:
    parts = {"seg_guidance_scale": 1.7, "seg_guidance_layers": [1]}
    yield guided("seg", scale=1.7), at("SmoothedEnergyGuidance", 1.0, **parts).forward(COND, None, EDITED).pred


def autoguidance() -> Pairs:
    """Theirs makes the weak network by dropping blocks; the update is the same."""
    method = gb.METHODS.create("autoguidance", scale=1.7)
    ours = run_guide(method, step(), lambda queries: tuple(WEAK if q.net == "weak" else lookup(q) for q in queries))
    guider = at("AutoGuidance", 1.7, auto_guidance_layers=[1], dropout=0.1)
    yield ours, guider.forward(COND, WEAK).pred


#: Every method with a counterpart.
COMPARED: dict[str, Callable[[], Pairs]] = {
    f.__name__: f for f in (cfg, cfg_rescale, cfg_zero, tcfg, mambo_g, fdg, apg, slg, pag, seg, autoguidance)
}


def difference(name: str) -> float:
    """The largest difference of a method from its counterpart, relative to the largest value."""
    return max(float((a - b).abs().max() / b.abs().max().clamp_min(1e-300)) for a, b in COMPARED[name]())


if __name__ == "__main__":
    import diffusers

    found = {name: difference(name) for name in COMPARED}
    environment = describe(torch.device("cpu"))
    write_json(RECORD, {"environment": environment, "program": f"diffusers {diffusers.__version__}", "methods": found})
