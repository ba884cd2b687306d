"""Tuning: a method's parameters under a budget of samples, on seeds that are not reported.

Optuna proposes settings (a Sobol sequence at first, then its tree-structured Parzen estimator); each is scored on a
quarter of the samples, and on all of them if it is among the best quarter so far (successive halving). Every sample
counts, those of settings given up too. A proposal depends on what was found before and on its number alone, and runs
that are there are not made again: so the same command continues a search, or lengthens it under a larger budget.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...core.errors import UserError
from ...core.identity import short_hash
from .space import Axis

#: Each step up of successive halving has so many times the samples.
FACTOR = 4
#: Settings that are spread over the space before the search learns from them.
FIRST = 4
#: Seed of networks and samples of a search, unless the user says others.
SEEDS = (1000,)

#: Parameters, samples, seed -> the metric turned so that less is better, and the run's id.
Score = Callable[[dict[str, Any], int, int], tuple[float, str]]


@dataclass(frozen=True)
class Search:
    """What a search is named by.

    Attributes:
        method: name.
        space: by parameter.
        seeds: of networks and samples.
        rungs: samples of a setting, least first.
        protocol: what its runs share, plain values.
    """

    method: str
    space: dict[str, Axis]
    seeds: tuple[int, ...]
    rungs: tuple[int, ...]
    protocol: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        space = {name: axis.as_dict() for name, axis in self.space.items()}
        shape = {"method": self.method, "space": space, "seeds": list(self.seeds), "rungs": list(self.rungs)}
        return {**shape, "protocol": self.protocol}

    @property
    def name(self) -> str:
        """Hash of all that."""
        return short_hash(self.as_dict())


def rungs_of(samples: int, block: int) -> tuple[int, ...]:
    """A quarter of the samples in whole blocks where there are several, then all."""
    least = max(samples // FACTOR // block, 1) * block
    return (least, samples) if least < samples else (samples,)


def search(plan: Search, budget: int, score: Score) -> list[dict[str, Any]]:
    """Try settings until the next one would exceed the budget.

    Args:
        plan: the search.
        budget: samples to spend, over all settings and seeds.
        score: makes a run, or finds it.

    Returns:
        Trials in order: number, parameters, ``scores`` (a mean over seeds for each rung climbed), ``runs``, ``spent``.

    Raises:
        UserError: the budget does not suffice for one setting, or Optuna is not installed.
    """
    optuna = _optuna()
    whole = plan.rungs[-1] * len(plan.seeds)
    least = sum(plan.rungs) * len(plan.seeds)
    if budget < least:
        raise UserError(
            f"budget={budget} is less than one setting costs: {least} samples ({whole} and the steps before)"
        )
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=FACTOR)
    study = optuna.create_study(pruner=pruner)
    trials: list[dict[str, Any]] = []
    left = budget
    while left >= plan.rungs[0] * len(plan.seeds):
        number = len(trials)
        study.sampler = _sampler(optuna, number)
        trial = study.ask()
        places = {name: trial.suggest_float(name, 0.0, 1.0) for name in plan.space}
        parameters = {name: axis.value(places[name]) for name, axis in plan.space.items()}
        made, cut = _climb(plan, trial, parameters, left, score)
        whole_way = len(made["scores"]) == len(plan.rungs)
        state = optuna.trial.TrialState.COMPLETE if whole_way else optuna.trial.TrialState.PRUNED
        study.tell(trial, made["scores"][-1] if whole_way else None, state=state)
        trials.append({"number": number, **made})
        left -= made["spent"]
        if cut:
            break  # the budget ends here: what could no longer be tried in full would be of no use
    return trials


def best_of(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """The best of the trials that climbed highest."""
    top = max(len(trial["scores"]) for trial in trials)
    return min((t for t in trials if len(t["scores"]) == top), key=lambda t: t["scores"][-1])


def _climb(
    plan: Search, trial: Any, parameters: dict[str, Any], left: int, score: Score
) -> tuple[dict[str, Any], bool]:
    """A setting on more and more samples; and whether the budget ended that, not its score."""
    scores: list[float] = []
    runs: list[list[str]] = []
    spent, cut = 0, False
    for rung, samples in enumerate(plan.rungs):
        cost = samples * len(plan.seeds)
        cut = spent + cost > left
        if cut:
            break
        found = [score(parameters, samples, seed) for seed in plan.seeds]
        spent += cost
        scores.append(sum(value for value, _ in found) / len(found))
        runs.append([run for _, run in found])
        trial.report(scores[-1], FACTOR**rung)
        if rung + 1 < len(plan.rungs) and trial.should_prune():
            break
    return {"parameters": parameters, "scores": scores, "runs": runs, "spent": spent}, cut


def _sampler(optuna: Any, number: int) -> Any:
    """Seeded by the trial's number: the same proposals after an interruption."""
    if number < FIRST:
        return optuna.samplers.QMCSampler(qmc_type="sobol", scramble=True, seed=0, warn_independent_sampling=False)
    return optuna.samplers.TPESampler(seed=number, n_startup_trials=0, multivariate=True)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise UserError('tuning needs Optuna: pip install -e ".[tune]"') from None
    import warnings

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna
