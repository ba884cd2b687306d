"""From runs to what a leaderboard says: seeds averaged, each method's best setting, the front of cost and quality."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import UserError, did_you_mean
from ..core.identity import canonical
from .metric_columns import Column, column_of, metric_columns
from .setting_texts import setting_texts, sort_key

if TYPE_CHECKING:
    import pandas as pd

#: What all rows of a protocol share, carried along for captions.
SHARED = ("benchmark", "version", "protocol", "networks", "solver", "samples", "labels", "dtype", "evaluator")


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
    runs = distinct_runs(frame)
    keys = [runs["protocol"], runs["method"], runs["parameters"].map(canonical)]
    rows = [_setting_row(group.sort_values(["seed", "run_id"]), names) for _, group in runs.groupby(keys, sort=True)]
    rows.sort(
        key=lambda r: (r["benchmark"], r["protocol"], r["method"] != "none", r["method"], sort_key(r["parameters"]))
    )
    settings = pd.DataFrame(rows)
    texts = [_texts(group) for _, group in settings.groupby(["protocol", "method"], sort=False)]
    settings.insert(list(settings.columns).index("parameters") + 1, "setting", pd.concat(texts))
    return settings


def distinct_runs(frame: pd.DataFrame) -> pd.DataFrame:
    """Each run once (the latest record of it); plug-ins of one name but different code get names of their own."""
    runs = frame.sort_values(["run_id", "time"]).drop_duplicates("run_id", keep="last").reset_index(drop=True)
    codes = runs.groupby("method")["plugin"].transform(lambda p: p.fillna("").nunique())
    renamed = runs["method"] + "@" + runs["plugin"].fillna("built in").str[:8]
    return runs.assign(method=runs["method"].where(codes == 1, renamed))


def _setting_row(group: pd.DataFrame, metrics: Sequence[str]) -> dict[str, Any]:
    first = group.iloc[0]
    row: dict[str, Any] = {name: first[name] for name in (*SHARED, "method", "parameters")}
    row |= {"n": len(group), "seeds": group["seed"].tolist(), "run_ids": group["run_id"].tolist()}
    for name in metrics:
        values = group[name].dropna()
        row |= {name: values.mean(), f"{name}.sd": values.std(ddof=1), f"{name}.values": group[name].tolist()}
    return row | {c: group[c].mean() for c in group.columns if str(c).startswith("cost.")}


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

    The best of k settings is chosen on the samples that are scored, which flatters a method the more the larger k is:
    column ``settings`` holds k. Columns ``held_out`` and ``held_out_sd`` are free of that: :func:`held_out` over the
    seeds; NaN for one seed. Column ``gain`` is the improvement over ``none`` in percent, over the seeds that both
    have (NaN without ``none`` or a common seed). Rows keep the index that they have in ``aggregated``.

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
    loss = settings[primary].map(column.loss)
    ranked = settings.loc[loss.sort_values(kind="stable").index].dropna(subset=[primary])
    chosen = ranked.drop_duplicates("method")
    tried = settings.groupby("method").size()
    neutral = settings[settings["method"] == "none"]
    base = _by_seed(neutral.iloc[0], primary) if len(neutral) else {}
    gains = [_gain(row, base, column) for _, row in chosen.iterrows()]
    fair = {method: list(held_out(rows, column).values()) for method, rows in settings.groupby("method")}
    means = [float(np.mean(fair[m])) if fair[m] else math.nan for m in chosen["method"]]
    spreads = [float(np.std(fair[m], ddof=1)) if fair[m] else math.nan for m in chosen["method"]]
    return chosen.assign(settings=chosen["method"].map(tried), gain=gains, held_out=means, held_out_sd=spreads)


def held_out(settings: pd.DataFrame, column: Column) -> dict[int, float]:
    """A metric by seed, of the setting that is best by its mean over all *other* seeds.

    No seed has a say in what is scored on it, so however many settings a method tries, it gains nothing by chance.

    Args:
        settings: aggregated settings of one method.
        column: the metric.

    Returns:
        {} where fewer than two seeds have run every setting.
    """
    values = [_by_seed(row, column.name) for _, row in settings.iterrows()]
    seeds = sorted(set.intersection(*(set(one) for one in values)))
    if len(seeds) < 2:
        return {}

    def loss_elsewhere(one: Mapping[int, float], seed: int) -> float:
        return column.loss(float(np.mean([one[other] for other in seeds if other != seed])))

    return {seed: min(values, key=lambda one, seed=seed: loss_elsewhere(one, seed))[seed] for seed in seeds}


def _by_seed(row: pd.Series[Any], metric: str) -> dict[int, float]:
    return dict(zip(row["seeds"], row[f"{metric}.values"], strict=True))


def _gain(row: pd.Series[Any], base: Mapping[int, float], column: Column) -> float:
    """Improvement over ``none`` in percent, over common seeds."""
    own = _by_seed(row, column.name)
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
