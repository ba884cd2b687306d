"""Half-precision distances as OpenAI's evaluator computes them (openai/guided-diffusion, evaluations/evaluator.py).

TensorFlow on a CPU sums products in single precision and rounds once, but sums squares in half precision: eight lanes
wide, four lane groups in turn, and lists of more than 1600 numbers in two halves. The order of those additions decides
the last bit of a norm, and with it now and then whether a point is inside a ball; so it is repeated here. It is exact
for D <= 1600 and for D a multiple of 8, 2048 among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

LANES = 8
GROUPS = 4
LONGEST = LANES * 200  # longer lists are halved


def half_norms(values: Tensor) -> Tensor:
    """Squared norms (N,) float16 of the rows of ``values`` (N, D) float16."""
    return _sum(values.square())


def half_distances(u: Tensor, u_norms: Tensor, v: Tensor, v_norms: Tensor) -> Tensor:
    """Squared distances (N, M), each step rounded to half precision and given as float32; may be infinite or NaN.

    Args:
        u: (N, D) float32 that holds half-precision values.
        u_norms: (N,) float16 of :func:`half_norms`.
        v: (M, D).
        v_norms: (M,).
    """
    product = torch.mm(u, v.T).half()
    return ((u_norms[:, None] - 2 * product) + v_norms).clamp(min=0).float()


def _sum(terms: Tensor) -> Tensor:
    count = terms.shape[1]
    if count <= LONGEST:
        return _sum_lanes(terms)
    middle = LANES * -(-((count + 1) // 2) // LANES)
    return _sum(terms[:, :middle]) + _sum(terms[:, middle:])


def _sum_lanes(terms: Tensor) -> Tensor:
    whole = terms.shape[1] // LANES
    packets = terms[:, : whole * LANES].unflatten(1, (whole, LANES)).unbind(1)
    grouped = whole // GROUPS * GROUPS
    lanes = terms.new_zeros(len(terms), LANES)
    if grouped:
        lanes = _in_turn([_in_turn(packets[first:grouped:GROUPS], lanes) for first in range(GROUPS)], lanes)
    lanes = _in_turn(packets[grouped:], lanes)
    rest = _in_turn(terms[:, whole * LANES :].unbind(1), terms.new_zeros(len(terms)))
    return rest + lanes.float().sum(1).half()


def _in_turn(terms: Sequence[Tensor], start: Tensor) -> Tensor:
    """``start`` plus the first plus the second, rounded each time."""
    return reduce(torch.add, terms, start)
