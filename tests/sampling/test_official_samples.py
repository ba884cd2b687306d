"""The samplers against what the official programs gave on small random models."""

from __future__ import annotations

import pytest
import torch
from official_programs import FILES, RUNS, golden, network, official_difference

import guidance_bench as gb


@pytest.mark.parametrize(("file", "run", "method", "parameters", "solver", "settings"), RUNS)
def test_samples_equal_the_official_programs(file, run, method, parameters, solver, settings):
    assert official_difference(file, run, method, parameters, solver, settings) < 1e-4


def test_an_interval_asked_at_each_evaluation_differs_from_the_program_that_asks_once_a_step():
    file, run, method, parameters, solver, settings = next(r for r in RUNS if r[1] == "heun_cfg_low_high")
    asked_twice = {**settings, "interval": "evaluation"}
    assert official_difference(file, run, method, parameters, solver, asked_twice) > 2e-4  # the tolerance is 1e-4


def test_every_golden_run_is_tried():
    for file in FILES:
        tensors, _ = golden(file)
        runs = {key.removeprefix("sample.") for key in tensors if key.startswith("sample.")}
        assert runs == {run for name, run, *_ in RUNS if name == file}


@pytest.mark.parametrize("file", ["sit_ig", "lightningdit", "lightningdit_ig"])
def test_losses_and_gradients_equal_the_official_programs(file):
    tensors, about = golden(file)
    backbone = network(file, tensors, about)
    lightning = file.startswith("lightningdit")
    losses = gb.flow_matching_loss(
        backbone,
        tensors["loss.x1" if lightning else "loss.x0"],
        tensors["loss.y"],
        1 - tensors["loss.t"] if lightning else tensors["loss.t"],
        tensors["loss.noise"],
        tap=about["config"].get("encoder_depth"),
        cosine=lightning,
    )
    final = losses["final"]
    if lightning:
        mse = final + 0.5 * losses["intermediate"] if "intermediate" in losses else final
        torch.testing.assert_close(mse, tensors["loss.mse"], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(losses["cosine"], tensors["loss.cosine"], rtol=1e-6, atol=1e-6)
    else:
        torch.testing.assert_close(final, tensors["loss.final"], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(losses["intermediate"], tensors["loss.intermediate"], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(losses["total"], tensors["loss.total"], rtol=1e-6, atol=1e-6)
    losses["total"].backward()
    named = dict(backbone.named_parameters())
    norm = torch.stack([p.grad.double().norm() for p in named.values() if p.grad is not None]).norm()
    assert float(norm) == pytest.approx(float(tensors["loss.grad_norm"]), rel=1e-6)
    for key in [k for k in tensors if k.startswith("loss.grad.")]:
        torch.testing.assert_close(named[key.removeprefix("loss.grad.")].grad, tensors[key], rtol=1e-5, atol=1e-6)
