"""Nearest-neighbour balls around features, in tiles of constant memory.

What precision, recall, density and coverage share: a set's manifold is the union of balls around its points, each
reaching to the point's k-th nearest neighbour in the same set (Kynkaanniemi et al., arXiv 1904.06991, equation 1).
Distances are squared throughout; a ball holds its surface.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.arrays import as_matrix, check_same_width, default_device, exact_float32, slices
from ..core.errors import UserError
from .adm_half import half_distances, half_norms

Mode = Literal["fp32", "adm_fp16"]
TILE = 2048
ADM_BLOCK = 10_000  # OpenAI's evaluator decides on half or single precision for blocks of this many rows and columns
HALF_SAFE_NORM = 16_000.0  # squared norms below this keep every term of a half-precision distance finite


@dataclass(frozen=True)
class Manifolds:
    """How the balls of reference and samples hold each other's points.

    Attributes:
        precision: share of samples inside the reference's manifold.
        recall: share of reference points inside the samples' manifold.
        density: mean over samples of the number of reference balls that hold them, over k; may exceed 1.
        coverage: share of reference balls that hold a sample.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def manifolds(reference: Any, samples: Any, k: int = 3, mode: Mode = "fp32", tile: int = TILE) -> Manifolds:
    """Compare the k-neighbour manifolds of ``reference`` (N, D) and ``samples`` (M, D), NumPy or PyTorch.

    Args:
        reference: features of real images.
        samples: features of generated images.
        k: which neighbour the balls reach to, at least 1.
        mode: "fp32", or "adm_fp16" to repeat the half-precision distances of OpenAI's evaluator.
        tile: rows and columns whose distances are in memory at once; does not change the result.

    Raises:
        UserError: a set of at most k points, different D, an unknown mode, or a value that is not finite.
    """
    if mode not in get_args(Mode):
        raise UserError(f"mode={mode!r} is not one of {', '.join(get_args(Mode))}")
    if k < 1 or tile < 1:
        raise UserError(f"k={k} and tile={tile} must be at least 1")
    real, fake = (as_matrix(x, f"features for neighbours at k={k}", k + 1) for x in (reference, samples))
    check_same_width(real, fake)
    device = reference.device if isinstance(reference, Tensor) else default_device()
    # ADM's half precision is of the numbers as they are
    centre = _centre(real, fake) if mode == "fp32" else None
    with exact_float32(), torch.inference_mode():
        return _compare(_Points.of(real, mode, device, centre), _Points.of(fake, mode, device, centre), k, tile)


def _centre(real: NDArray[Any], fake: NDArray[Any]) -> NDArray[np.float64]:
    """A point (D,) between the means of both sets; seen from there, distances in float32 do not cancel.

    It is rounded to multiples of a power of two, the next above the larger set's root mean square deviation. So the
    rounding is no more than that deviation, a mean that is small beside it moves nothing, and the difference of a
    float32 number and the centre is a float32 number: distances that were exact stay exact, ties among them.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        means, spreads = zip(*(_moments(x) for x in (real, fake)), strict=True)
        middle, spread = (means[0] + means[1]) / 2, max(spreads)
        if not np.isfinite(middle).all() or not np.isfinite(spread):
            return np.zeros_like(middle)  # what is not finite is refused where the values are read
        step = 2.0 ** np.ceil(np.log2(spread)) if spread > 0 else 1.0
        return np.asarray(np.round(middle / step) * step)


def _moments(x: NDArray[Any]) -> tuple[NDArray[np.float64], float]:
    """Mean (D,), and root mean square of all deviations from it; a memory map is read in pieces."""
    mean = x.mean(axis=0, dtype=np.float64)
    parts = (np.subtract(x[rows], mean, dtype=np.float64) for rows in slices(len(x), TILE))
    return mean, float(np.sqrt(sum(float(np.square(part).sum()) for part in parts) / max(x.size, 1)))


@dataclass(frozen=True)
class _Points:
    values: Tensor  # (N, D) float32, holding half-precision values in mode adm_fp16
    norms: Tensor  # (N,) squared, in the precision of the mode
    single: Tensor | None  # (N, D) unrounded, in mode adm_fp16

    @classmethod
    def of(
        cls, features: NDArray[Any], mode: Mode, device: torch.device, centre: NDArray[np.float64] | None
    ) -> _Points:
        values = torch.empty(features.shape, dtype=torch.float32, device=device)
        for rows in slices(len(features), TILE):  # a memory map passes piece by piece
            part = features[rows] if centre is None else np.subtract(features[rows], centre, dtype=np.float64)
            values[rows] = torch.from_numpy(np.array(part, dtype=np.float32))
        if not values.isfinite().all():
            raise UserError("features hold a value that is not finite")
        if mode == "fp32":
            return cls(values, values.square().sum(1), None)
        half = values.half()
        return cls(half.float(), half_norms(half), values)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: slice) -> _Points:
        return _Points(self.values[rows], self.norms[rows], None if self.single is None else self.single[rows])

    @property
    def half(self) -> bool:
        return self.single is not None

    def as_single(self) -> _Points:
        assert self.single is not None
        return _Points(self.single, self.single.square().sum(1), None)


def _compare(real: _Points, fake: _Points, k: int, tile: int) -> Manifolds:
    real_radii, fake_radii = _radii(real, k, tile), _radii(fake, k, tile)
    device = real_radii.device
    held = torch.zeros(len(fake), dtype=torch.int64, device=device)  # reference balls around each sample
    recalled = torch.zeros(len(real), dtype=torch.bool, device=device)
    covered = torch.zeros(len(real), dtype=torch.bool, device=device)
    for rows, columns, distances in _tiles(real, fake, tile):  # in this order, which half precision can tell
        inside = distances <= real_radii[rows, None]
        held[columns] += inside.sum(0)
        covered[rows] |= inside.any(1)
        recalled[rows] |= (distances <= fake_radii[columns]).any(1)
    return Manifolds(
        precision=_share(held > 0),
        recall=_share(recalled),
        density=int(held.sum()) / (k * len(fake)),
        coverage=_share(covered),
    )


def _share(hits: Tensor) -> float:
    return int(hits.sum()) / len(hits)


def _radii(points: _Points, k: int, tile: int) -> Tensor:
    """Squared distance (N,) of each point to its k-th neighbour; the point itself is the zeroth."""
    nearest = torch.full((len(points), k + 1), torch.inf, device=points.values.device)
    for rows, columns, distances in _tiles(points, points, tile, symmetric=not points.half):
        nearest[rows] = _smallest(nearest[rows], distances)
        if not points.half and rows != columns:
            nearest[columns] = _smallest(nearest[columns], distances.T.contiguous())
    return nearest.amax(1)


def _smallest(known: Tensor, distances: Tensor) -> Tensor:
    """The smallest ``known.shape[1]`` of each row of both."""
    count = known.shape[1]
    fresh = distances.topk(min(count, distances.shape[1]), dim=1, largest=False, sorted=False).values
    return torch.cat([known, fresh], 1).topk(count, dim=1, largest=False, sorted=False).values


def _tiles(a: _Points, b: _Points, tile: int, symmetric: bool = False) -> Iterator[tuple[slice, slice, Tensor]]:
    """Rows of a, columns of b, and their squared distances; ``symmetric`` leaves out the tiles below the diagonal."""
    if a.half:
        yield from _half_tiles(a, b, tile)
        return
    for rows in slices(len(a), tile):
        for columns in slices(len(b), tile):
            if not (symmetric and columns.start < rows.start):
                yield rows, columns, _single_distances(a[rows], b[columns])


def _half_tiles(a: _Points, b: _Points, tile: int) -> Iterator[tuple[slice, slice, Tensor]]:
    for block in slices(len(a), ADM_BLOCK):
        for other in slices(len(b), ADM_BLOCK):
            u, v = a[block], b[other]
            if not _fits_half(u, v, tile):
                u, v = u.as_single(), v.as_single()
            distance = _half_distances if u.half else _single_distances
            for rows in slices(len(u), tile):
                for columns in slices(len(v), tile):
                    yield _shift(rows, block.start), _shift(columns, other.start), distance(u[rows], v[columns])


def _shift(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)


def _fits_half(u: _Points, v: _Points, tile: int) -> bool:
    """Whether every half-precision distance of the block is finite."""
    if max(u.norms.max(), v.norms.max()) < HALF_SAFE_NORM:
        return True
    parts = ((u[i], v[j]) for i in slices(len(u), tile) for j in slices(len(v), tile))
    return all(bool(_half_distances(i, j).isfinite().all()) for i, j in parts)


def _half_distances(u: _Points, v: _Points) -> Tensor:
    return half_distances(u.values, u.norms, v.values, v.norms)


def _single_distances(u: _Points, v: _Points) -> Tensor:
    distances = torch.mm(u.values, v.values.T).mul_(-2)
    return distances.add_(u.norms[:, None]).add_(v.norms).clamp_(min=0)
