"""Speed of the evaluation beside the programs that it replaces, on a CPU.

Random numbers of the usual sizes stand in for images and features.
"""

from __future__ import annotations

import io
import multiprocessing
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..features.inception import CLASSES, Inception, build_trunk
from ..features.inception_weights import InceptionWeights
from ..metrics import feature_statistics, frechet_distance, precision_recall
from .ruler import Times, alternate, limit_threads

DIMENSIONS = 2048


def frechet(rounds: int, device: torch.device) -> dict[str, Any]:
    """2048-d Frechet distance: ours, scipy's general square root as ADM, torch-fidelity's eigenvalues."""
    from scipy.linalg import sqrtm
    from torch_fidelity.metric_fid import fid_statistics_to_metric

    rng = np.random.default_rng(0)
    scales = np.linspace(0.2, 2, DIMENSIONS)
    a, b = (feature_statistics(rng.standard_normal((6000, DIMENSIONS)) * scales + shift) for shift in (0, 0.1))

    def ours() -> float:
        return frechet_distance(*a, *b)

    def scipy() -> float:
        root = sqrtm(a.cov @ b.cov)
        return float(np.square(a.mean - b.mean).sum() + np.trace(a.cov) + np.trace(b.cov) - 2 * np.trace(root).real)

    def torch_fidelity() -> float:
        given = [{"mu": s.mean, "sigma": s.cov} for s in (a, b)]
        return float(fid_statistics_to_metric(*given, False)["frechet_inception_distance"])

    times = alternate({"ours": ours, "scipy": scipy, "torch_fidelity": torch_fidelity}, rounds)
    values = times.values
    differences = {name: abs(value / values["ours"] - 1) for name, value in values.items()}
    return _table(times, relative_difference=differences)


def precision(rounds: int, device: torch.device) -> dict[str, Any]:
    """Precision and recall of 10,000 against 10,000 features, each program in a fresh process for its peak memory."""
    times: dict[str, list[float]] = {name: [] for name in _PRECISION}
    peaks: dict[str, int] = {}
    values: dict[str, Any] = {}
    for _ in range(rounds):
        for name in _PRECISION:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                seconds, peaks[name], values[name] = pool.apply(_one_precision, (name, torch.get_num_threads()))
            times[name].append(seconds)
    memory = {"peak_bytes": peaks, "peak_ratio": {name: peak / peaks["ours"] for name, peak in peaks.items()}}
    return _table(Times(times), values=values, **memory)


def features(rounds: int, device: torch.device) -> dict[str, Any]:
    """Inception on 16 images of 256 x 256, torch-fidelity's network as it comes."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    ours, state = random_inception()
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    theirs = FeatureExtractorInceptionV3("speed", ["2048"], feature_extractor_weights_path=file)
    images = torch.randint(0, 256, (16, 256, 256, 3), dtype=torch.uint8)

    def run_ours() -> NDArray[Any]:
        with torch.inference_mode():
            result: NDArray[Any] = ours(images).pool3.numpy()
            return result

    def run_theirs() -> NDArray[Any]:
        with torch.no_grad():
            result: NDArray[Any] = theirs(images.permute(0, 3, 1, 2))[0].numpy()
            return result

    times = alternate({"ours": run_ours, "torch_fidelity": run_theirs}, 2 * rounds)
    values = times.values
    error = np.linalg.norm(values["ours"] - values["torch_fidelity"]) / np.linalg.norm(values["torch_fidelity"])
    return _table(times, relative_difference=float(error), images=len(images))


def random_inception() -> tuple[Inception, dict[str, Tensor]]:
    """Inception of random weights, and the weights under torch-fidelity's names."""
    torch.manual_seed(0)
    trunk = build_trunk()
    state = {**trunk.state_dict(), "fc.weight": torch.randn(CLASSES, 2048), "fc.bias": torch.zeros(CLASSES)}
    return Inception(InceptionWeights(state, Path("random"), "", False), trunk), state


def features_like(
    mixing: NDArray[np.float32], count: int, spread: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Features (count, D) of low intrinsic dimension, as real ones: neither all nor none lie inside each other's balls.

    Args:
        mixing: (d, D), what the few dimensions become; that of both sets that are compared.
        count: rows.
        spread: noise in all dimensions.
        rng: the draws.
    """
    rows = rng.standard_normal((count, len(mixing)), dtype=np.float32) @ mixing
    return rows + rng.standard_normal((count, mixing.shape[1]), dtype=np.float32) * np.float32(spread)


def _ours(real: NDArray[Any], fake: NDArray[Any]) -> tuple[float, float]:
    return precision_recall(real, fake)


def _theirs(real: NDArray[Any], fake: NDArray[Any]) -> tuple[float, float]:
    from torch_fidelity.metric_prc import calculate_precision_recall_full

    result: tuple[float, float] = calculate_precision_recall_full(torch.from_numpy(fake), torch.from_numpy(real), 3)
    return result


_PRECISION = {"ours": _ours, "torch_fidelity": _theirs}


def _one_precision(name: str, threads: int) -> tuple[float, int, tuple[float, float]]:
    """Seconds, peak bytes and result, in a process of its own."""
    limit_threads(threads)
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((32, DIMENSIONS), dtype=np.float32)
    real, fake = (features_like(mixing, 10_000, spread, rng) for spread in (0.3, 0.4))
    started = time.perf_counter()
    result = _PRECISION[name](real, fake)
    return time.perf_counter() - started, _peak_bytes(), result


def _peak_bytes() -> int:
    """Peak resident memory of this process; unlike ``ru_maxrss`` it does not begin with the parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _table(times: Times, **facts: Any) -> dict[str, Any]:
    return {
        "seconds": {name: [round(s, 3) for s in seconds] for name, seconds in times.seconds.items()},
        "times_ours_by_median": {name: round(times.ratio(name, "ours"), 2) for name in times.seconds},
        **facts,
    }
