"""From runs to what a leaderboard says: seeds averaged, each method's best setting, the front of cost and quality."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import UserError, did_you_mean
from ..core.identity import canonical
from .comparison.paired import tie_letters
from .comparison.seeds import all_by_seed, by_seed, held_out, shared_seeds
from .metric_columns import Column, column_of, metric_columns
from .setting_texts import setting_texts, sort_key

if TYPE_CHECKING:
    import pandas as pd

#: What all rows of a protocol share, carried along for captions.
SHARED = ("benchmark", "version", "protocol", "networks", "solver", "samples", "block", "labels", "dtype", "evaluator")


def aggregate(frame: pd.DataFrame, metrics: Sequence[str] | None = None) -> pd.DataFrame:
    """Average over seeds.

    Args:
        frame: one row a run (:func:`guidance_bench.experiments.records.to_frame`). Of a run that is there twice,
            the later counts.
        metrics: column names, in the order wanted; None: all.

    Returns:
        One row for each (protocol, method, parameters), ``none`` first, then by method and scale: what the protocol
        says, ``method, parameters, setting`` (in words), ``n, seeds, run_ids``; for each metric its mean over seeds,
        ``<metric>.sd`` (ddof = 1, NaN for one seed) and ``<metric>.values`` (in the seeds' order); mean costs.

    Raises:
        UserError: a metric that no run has.
    """
    import pandas as pd

    names = [c.name for c in metric_columns(frame)] if metrics is None else list(metrics)
    for name in names:
        if f"{name}.sd" not in frame:
            known = [str(c).removesuffix(".sd") for c in frame.columns if str(c).endswith(".sd")]
            raise UserError(
                f"no run has the metric {name!r} (they have: {', '.join(known)}){did_you_mean(name, known)}"
            )
    runs = distinct_runs(frame).sort_values(["seed", "run_id"], ignore_index=True)
    costs = [str(c) for c in runs.columns if str(c).startswith("cost.")]
    settings = pd.DataFrame(_columns(runs, _settings(runs), names, costs))
    texts = [_texts(group) for _, group in settings.groupby(["protocol", "method"], sort=False)]
    settings.insert(list(settings.columns).index("parameters") + 1, "setting", pd.concat(texts))
    return settings


def distinct_runs(frame: pd.DataFrame) -> pd.DataFrame:
    """Each run once (the latest record of it); plug-ins of one name but different code get names of their own."""
    runs = frame.sort_values(["run_id", "time"]).drop_duplicates("run_id", keep="last").reset_index(drop=True)
    codes = runs.groupby("method")["plugin"].transform(lambda p: p.fillna("").nunique())
    renamed = runs["method"] + "@" + runs["plugin"].fillna("built in").str[:8]
    return runs.assign(method=runs["method"].where(codes == 1, renamed))


def _settings(runs: pd.DataFrame) -> list[NDArray[Any]]:
    """The places of each setting's runs, in the order of the table."""
    keys = [runs["protocol"], runs["method"], runs["parameters"].map(canonical)]
    groups = runs.groupby(keys, sort=True).indices
    told = {name: runs[name].tolist() for name in ("benchmark", "protocol", "method", "parameters")}

    def rank(places: NDArray[Any]) -> tuple[Any, ...]:
        benchmark, protocol, method, parameters = (column[places[0]] for column in told.values())
        return benchmark, protocol, method != "none", method, sort_key(parameters)

    return sorted((np.sort(groups[key]) for key in sorted(groups)), key=rank)


def _columns(
    runs: pd.DataFrame, settings: Sequence[NDArray[Any]], metrics: Sequence[str], costs: Sequence[str]
) -> dict[str, Any]:
    """One row a setting; whole columns, because a frame or a row a setting costs milliseconds."""
    columns: dict[str, Any] = {}
    for name in (*SHARED, "method", "parameters"):
        values = runs[name].tolist()
        columns[name] = [values[places[0]] for places in settings]
    columns["n"] = [len(places) for places in settings]
    for title, name in (("seeds", "seed"), ("run_ids", "run_id")):
        values = runs[name].tolist()
        columns[title] = [[values[i] for i in places] for places in settings]
    for name in metrics:
        numbers = runs[name].to_numpy(dtype=float)
        columns[name], columns[f"{name}.sd"] = _over_runs(numbers, settings)
        columns[f"{name}.values"] = [numbers[places].tolist() for places in settings]
    return columns | {name: _over_runs(runs[name].to_numpy(dtype=float), settings)[0] for name in costs}


def _over_runs(
    numbers: NDArray[np.float64], settings: Sequence[NDArray[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation over each setting's runs that have the number, all of as many runs at once."""
    means, spreads = np.full(len(settings), math.nan), np.full(len(settings), math.nan)
    there = ~np.isnan(numbers)
    known = list(settings) if there.all() else [places[there[places]] for places in settings]
    counts = np.array([len(places) for places in known])
    for count in set(counts.tolist()) - {0}:
        rows = np.flatnonzero(counts == count)
        block = numbers[np.array([known[row] for row in rows])]
        means[rows] = block.mean(axis=1)
        if count > 1:
            spreads[rows] = block.std(axis=1, ddof=1)
    return means, spreads


def _texts(group: pd.DataFrame) -> pd.Series[str]:
    import pandas as pd

    method = str(group["method"].iloc[0]).partition("@")[0]
    return pd.Series(setting_texts(method, group["parameters"].tolist()), index=group.index, dtype=object)


def metrics_of(frame: pd.DataFrame) -> list[Column]:
    """The metrics of an aggregated frame in the order of its columns."""
    evaluator = str(frame["evaluator"].iloc[0])
    return [column_of(str(c)[:-3], evaluator) for c in frame.columns if str(c).endswith(".sd")]


def best(aggregated: pd.DataFrame, primary: str) -> pd.DataFrame:
    """Each method's best setting by the mean of the primary metric, the best method of a protocol first.

    Ranks are over the seeds that all methods have (column ``shared_seeds``); settings that lack one of them come last.
    Column ``ties`` holds compact letters: methods that share one cannot be told apart by their held-out values
    (:func:`guidance_bench.leaderboard.comparison.paired.tie_letters`).

    The best of k settings is chosen on the samples that are scored, which flatters a method the more the larger k is:
    column ``settings`` holds k. Columns ``held_out`` and ``held_out_sd`` are free of that
    (:func:`guidance_bench.leaderboard.comparison.seeds.held_out`); NaN for one seed. Column ``gain`` is the improvement
    over ``none`` in percent, over the seeds that both have (NaN without ``none`` or a common seed). Rows keep the index
    that they have in ``aggregated``.

    Raises:
        UserError: the frame has no such metric, or nobody knows which way is better.
    """
    import pandas as pd

    known = [c.name for c in metrics_of(aggregated)]
    if primary not in known:
        raise UserError(
            f"no metric {primary!r} to rank by (there are: {', '.join(known)}){did_you_mean(primary, known)}"
        )
    parts = [_best_of_protocol(group, primary) for _, group in aggregated.groupby("protocol", sort=False)]
    return pd.concat(parts)


def _best_of_protocol(settings: pd.DataFrame, primary: str) -> pd.DataFrame:
    column = column_of(primary, str(settings["evaluator"].iloc[0]))
    shared = shared_seeds(settings, primary)
    values = all_by_seed(settings, primary)
    over = [shared if set(shared) <= set(one) else sorted(one) for one in values]
    losses = [
        column.loss(float(np.mean([one[s] for s in seeds]))) if seeds else math.nan
        for one, seeds in zip(values, over, strict=True)
    ]
    lacks = [not set(shared) <= set(one) for one in values]
    ranked = settings.assign(_lacks=lacks, _loss=losses).sort_values(["_lacks", "_loss"], kind="stable")
    chosen = ranked.dropna(subset=[primary]).drop_duplicates("method").drop(columns=["_lacks", "_loss"])
    tried = settings.groupby("method").size()
    neutral = settings[settings["method"] == "none"]
    base = by_seed(neutral.iloc[0], primary) if len(neutral) else {}
    gains = [_gain(row, base, column) for _, row in chosen.iterrows()]
    fair = {method: held_out(rows, column) for method, rows in settings.groupby("method")}
    drawn = [list(fair[m].values()) for m in chosen["method"]]
    means = [float(np.mean(one)) if one else math.nan for one in drawn]
    spreads = [float(np.std(one, ddof=1)) if one else math.nan for one in drawn]
    ties = _ties(chosen, fair, shared, primary)
    return chosen.assign(
        settings=chosen["method"].map(tried),
        gain=gains,
        held_out=means,
        held_out_sd=spreads,
        ties=ties,
        shared_seeds=[shared] * len(chosen),
    )


def _ties(chosen: pd.DataFrame, fair: Mapping[Any, dict[int, float]], shared: list[int], primary: str) -> list[str]:
    """Compact letters over the shared seeds, of held-out values; none where fewer than two seeds are shared."""
    if len(shared) < 2 or len(chosen) < 2:
        return [""] * len(chosen)
    values = {m: {s: v for s, v in fair[m].items() if s in shared} for m in chosen["method"]}
    found = tie_letters(values)
    return [found[m] if len(values[m]) > 1 else "" for m in chosen["method"]]


def _gain(row: pd.Series[Any], base: Mapping[int, float], column: Column) -> float:
    """Improvement over ``none`` in percent, over common seeds."""
    own = by_seed(row, column.name)
    common = [seed for seed in own if seed in base]
    if row["method"] == "none" or not common:
        return float("nan")
    ours, theirs = (float(np.mean([values[seed] for seed in common])) for values in (own, base))
    return 100 * (column.loss(theirs) - column.loss(ours)) / abs(theirs) if theirs else float("nan")


def pareto(aggregated: pd.DataFrame, cost: str, metric: str) -> pd.DataFrame:
    """The settings that no other beats in both cost and metric, cheapest first; of equals all stay.

    Args:
        aggregated: settings of one protocol.
        cost: a column of which less is better, such as ``cost.nfe``.
        metric: a metric's column name.
    """
    column = column_of(metric, str(aggregated["evaluator"].iloc[0]))
    rows = aggregated.dropna(subset=[cost, metric])
    costs, losses = rows[cost].to_numpy(), rows[metric].map(column.loss).to_numpy()
    no_worse = (costs[None] <= costs[:, None]) & (losses[None] <= losses[:, None])
    better = (costs[None] < costs[:, None]) | (losses[None] < losses[:, None])
    front: pd.DataFrame = rows.iloc[np.flatnonzero(~(no_worse & better).any(axis=1))]
    return front.sort_values([cost, metric], kind="stable")
