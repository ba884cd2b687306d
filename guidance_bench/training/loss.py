"""Training losses: flow matching, the internal head's term, LightningDiT's cosine term."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cosine_similarity

from ..networks.backbone import Backbone
from ..networks.interpolant import interpolate


def flow_matching_loss(
    backbone: Backbone,
    x0: Tensor,
    y: Tensor,
    t: Tensor,
    noise: Tensor,
    *,
    tap: int | None = None,
    tap_weight: float = 0.5,
    cosine: bool = False,
) -> dict[str, Tensor]:
    """Flow-matching loss of a batch, with Internal Guidance's auxiliary term and LightningDiT's cosine term.

    Args:
        backbone: the network; its velocities are in the project's convention.
        x0: data latents (N, C, H, W).
        y: labels (N,) int, dropped ones already replaced by the null label.
        t: times (N,) in [0, 1], 1 = noise.
        noise: standard normal (N, C, H, W).
        tap: block of the internal head that is supervised too; None: the final head alone.
        tap_weight: weight of the internal term (lambda of arXiv 2512.24176; the official programs use 0.5).
        cosine: add 1 - cos(v, target) over channels (LightningDiT, arXiv 2501.01423); on the final head only.

    Returns:
        Per-sample "final", "intermediate" (with a tap) and "cosine" (if asked), each (N,), and the scalar "total" =
        mean(final) + tap_weight mean(intermediate) + mean(cosine).

    Raises:
        UserError: ``tap`` has no trained head.
    """
    target = noise - x0
    prediction = backbone(interpolate(x0, noise, t), t, y, () if tap is None else (tap,))
    losses = {"final": _per_sample((prediction.velocity - target) ** 2)}
    total = losses["final"].mean()
    if tap is not None:
        losses["intermediate"] = _per_sample((prediction.taps[tap] - target) ** 2)
        total = total + tap_weight * losses["intermediate"].mean()
    if cosine:
        losses["cosine"] = _per_sample(1 - cosine_similarity(prediction.velocity, target, dim=1))
        total = total + losses["cosine"].mean()
    return {**losses, "total": total}


def _per_sample(values: Tensor) -> Tensor:
    return values.flatten(1).mean(1)
