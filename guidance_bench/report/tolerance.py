"""How far a number may lie from a printed one before it counts as another: rounding, evaluator and draws, summed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: Decimals that tables of this field print.
DECIMALS = {"fid": 2, "sfid": 2, "inception_score": 1, "precision": 2, "recall": 2}
#: Largest differences between ADM's TensorFlow evaluator and the same network in PyTorch, on ADM's own samples
#: (lavinal712/ADM-evaluation-suite-pytorch, README): absolute, and as a share of the number.
EVALUATOR = {
    "fid": (0.0015, 0.0),
    "sfid": (0.0015, 0.0),
    "inception_score": (0.0, 0.0007),
    "precision": (0.0011, 0.0),
    "recall": (0.0024, 0.0),
}
#: Spread of one draw as a share of the number, where a run has but one. FID: retraining moves it by 1 to 2 percent and
#: 3.2 times more than new samples do (arXiv 2606.20536, abstract); IS: 3.30 over ten splits at 249.59 (latent
#: diffusion), so 3.30 / sqrt(10) of their mean.
ONE_DRAW = {"fid": 0.02 / 3.2, "sfid": 0.02 / 3.2, "inception_score": 3.30 / math.sqrt(10) / 249.59}
#: Images whose share recall is: ADM's reference keeps so many.
REFERENCE = 10_000


@dataclass(frozen=True)
class Tolerance:
    """What a difference is compared with.

    Attributes:
        rounding: half of the last printed digit.
        evaluator: what our evaluator may differ by from the authors'.
        draws: what two independent draws of samples may differ by (95 percent): ours, the mean of k, and the printed
            one, which is a single draw.
        basis: where the spread of draws comes from.
    """

    rounding: float
    evaluator: float
    draws: float
    basis: str

    @property
    def total(self) -> float:
        """The sum of all three."""
        return self.rounding + self.evaluator + self.draws

    def words(self) -> str:
        """The sum with its parts."""
        parts = f"rounding {self.rounding:.3g} + evaluator {self.evaluator:.3g} + draws {self.draws:.3g}"
        return f"{self.total:.3g} = {parts} ({self.basis})"


def tolerance(metric: str, printed: float, draws: Sequence[float], samples: int) -> Tolerance:
    """The tolerance of a metric.

    Args:
        metric: "fid", "sfid", "inception_score", "precision" or "recall".
        printed: the published number.
        draws: ours, each from samples of its own seed.
        samples: in a draw.
    """
    rounding = 0.5 * 10.0 ** -DECIMALS[metric]
    absolute, share = EVALUATOR[metric]
    evaluator = absolute + share * abs(printed)
    if len(draws) > 1:
        return Tolerance(rounding, evaluator, _of_draws(draws), f"the spread of {len(draws)} draws, Student's t")
    if metric in ONE_DRAW:
        spread, basis = ONE_DRAW[metric] * abs(printed), f"one draw: {100 * ONE_DRAW[metric]:.2g} % of the number"
    else:
        count = samples if metric == "precision" else REFERENCE
        spread, basis = math.sqrt(printed * (1 - printed) / count), f"one draw: a share of {count:,} images"
    return Tolerance(rounding, evaluator, 1.96 * math.sqrt(2) * spread, basis)


def _of_draws(draws: Sequence[float]) -> float:
    from scipy.stats import t

    count, mean = len(draws), math.fsum(draws) / len(draws)
    sd = math.sqrt(math.fsum((d - mean) ** 2 for d in draws) / (count - 1))
    return float(t.ppf(0.975, count - 1)) * sd * math.sqrt(1 + 1 / count)
