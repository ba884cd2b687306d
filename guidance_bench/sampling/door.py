"""What the sampler is given, checked at its door: one sentence for each mistake, before anything is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..core.errors import UserError
from ..guidance.method import Guidance
from ..networks.backbone import Backbone
from .solvers import Solver

#: Class numbers; uint8 and bool are masks to torch, and floats are rounded by nobody.
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8)

#: Weaker networks as ``sample`` takes them: none, one, or several by name.
Weak = Backbone | Mapping[str, Backbone] | None


def by_name(weak: Weak) -> dict[str, Backbone]:
    """Weak networks by the names that queries use; a single one is called "weak"."""
    if weak is None:
        return {}
    return {"weak": weak} if isinstance(weak, Backbone) else dict(weak)


def each_weak(weak: Weak, change: Callable[[Backbone], Backbone]) -> dict[str, Backbone]:
    """The weak networks, each changed in the same way."""
    return {name: change(net) for name, net in by_name(weak).items()}


def network(nets: Mapping[str, Backbone], name: str) -> Backbone:
    """The network of a name; :class:`UserError` where none was given."""
    if name in nets:
        return nets[name]
    given = ", ".join(other for other in nets if other != "main")
    if name == "weak" and not given:
        raise UserError("it needs a weak network and none is given")
    raise UserError(f"it needs a weak network called {name!r} and none is given (given: {given or 'none'})")


def check_kinds(backbone: Any, method: Any, solver: Any, weak: Any) -> None:
    """Raise :class:`UserError` unless each is what it is called."""
    if not isinstance(backbone, Backbone):
        raise UserError(f"backbone: {type(backbone).__name__} is no Backbone (load_backbone gives one)")
    for other in weak.values() if isinstance(weak, Mapping) else () if weak is None else (weak,):
        if not isinstance(other, Backbone):
            raise UserError(f"weak: {type(other).__name__} is no Backbone (load_backbone gives one)")
    if isinstance(weak, Mapping) and "main" in weak:
        raise UserError("weak: 'main' is the name of the network itself; give the weak one another")
    if not isinstance(method, Guidance):
        raise UserError(f"method={method!r} is no guidance method: give a name or an instance")
    if not isinstance(solver, Solver):
        raise UserError(f"solver={solver!r} is no solver: give a name or an instance")


def check_batch(backbone: Backbone, labels: Tensor, noise: Tensor) -> None:
    """Raise :class:`UserError` where latents or labels do not fit the network."""
    if not isinstance(noise, Tensor) or not isinstance(labels, Tensor):
        raise UserError("labels and noise must be tensors")
    if noise.dim() != 4 or tuple(noise.shape[1:]) != tuple(backbone.shape):
        raise UserError(f"noise of shape {tuple(noise.shape)} does not fit latents of shape {tuple(backbone.shape)}")
    if labels.shape != noise.shape[:1]:
        raise UserError(f"{tuple(labels.shape)} labels do not fit {len(noise)} latents")
    if not len(labels):
        raise UserError("there is nothing to sample: labels and noise are empty")
    if not noise.is_floating_point() or not bool(noise.isfinite().all()):
        raise UserError("noise must hold finite floating-point numbers")
    if labels.dtype not in INTEGERS:
        raise UserError(f"labels of type {labels.dtype} are no class numbers: give labels.long()")
    low, high = int(labels.min()), int(labels.max())
    last = backbone.num_classes - (not backbone.null_label)
    if low < 0 or high > last:
        null = f"{last} is no class" if backbone.null_label else "this network has no null label"
        raise UserError(f"labels must lie in 0..{last} ({null}); one is {low if low < 0 else high}")


def check_weak(backbone: Backbone, weak: Weak) -> None:
    """Raise :class:`UserError` where a weak network cannot be asked the same."""
    for net in by_name(weak).values():
        for what in ("shape", "num_classes", "device"):
            own, other = getattr(backbone, what), getattr(net, what)
            if own != other:
                raise UserError(f"the weak network's {what} {other} is not the main network's {own}")


def check_draws(
    seed: int, indices: Sequence[int] | None, sde_noise: Tensor | None, noise: Tensor, solver: Solver
) -> None:
    """Raise :class:`UserError` where later draws could not be those of each sample alone."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**64:
        raise UserError(f"seed={seed!r} is not a whole number in 0..2^64 - 1")
    if indices is not None:
        places = [int(i) for i in indices]
        if len(places) != len(noise) or len(set(places)) != len(places):
            raise UserError(f"indices must be {len(noise)} different places, one a sample; got {len(places)}")
        if min(places) < 0 or max(places) >= 2**64:
            raise UserError("indices must lie in 0..2^64 - 1")
    if sde_noise is None or not solver.stochastic:
        return
    if sde_noise.dim() != 5 or sde_noise.shape[1:] != noise.shape or len(sde_noise) < solver.draws:
        wanted = (solver.draws, *noise.shape)
        raise UserError(f"sde_noise of shape {tuple(sde_noise.shape)} does not serve {wanted}: steps, then as noise")
    if not bool(sde_noise.isfinite().all()):
        raise UserError("sde_noise must hold finite numbers")
