"""What a table must say about itself: the protocol, and how its rows were chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .metric_columns import Column, readable_space
from .setting_texts import plain

if TYPE_CHECKING:
    import pandas as pd


def protocol_facts(settings: pd.DataFrame) -> dict[str, str]:
    """The protocol of an aggregated frame in words, one fact a line."""
    first = settings.iloc[0]
    seeds = sorted({seed for group in settings["seeds"] for seed in group})
    return {
        "Benchmark": f"{first['benchmark']} v{first['version']}",
        **{f"{name.capitalize()} network": _network(recipe) for name, recipe in first["networks"].items() if recipe},
        "Solver": first["solver"],
        "Samples": f"{first['samples']:,} a run, {first['labels']} labels, {first['dtype']}",
        "Seeds": ", ".join(map(str, seeds)),
        "Features": readable_space(first["evaluator"]),
        "Protocol": first["protocol"],
    }


def _network(recipe: Mapping[str, Any]) -> str:
    parts = [str(recipe.get("recipe", recipe.get("backbone", "unnamed")))]
    if "steps" in recipe:
        parts.append(f"trained for {recipe['steps']:,} steps")
    if "recipe" in recipe:  # of a network that a user has trained
        parts[-1] += f" on {str(recipe.get('data', '?')).partition('@')[0]}"
        parts += [f"EMA {recipe['ema']}"] if "ema" in recipe else []
    if "sha256" in recipe:
        parts.append(f"sha256 {recipe['sha256'][:12]}")
    return ", ".join(parts)


def caption(settings: pd.DataFrame, title: str) -> str:
    """The protocol as one line, under the table's title."""
    return " · ".join(f"{name}: {value}" for name, value in {**protocol_facts(settings), "Benchmark": title}.items())


def distinctions(runs: pd.DataFrame) -> dict[str, str]:
    """By protocol: what tells it from the others of the same benchmark in fewest words; "" where it is the only one."""
    found: dict[str, str] = {}
    for _, group in runs.drop_duplicates("protocol").groupby(["benchmark", "version"], dropna=False):
        told = {str(row["protocol"]): _details(row) for _, row in group.iterrows()}
        names = _telling(list(told.values()))
        found |= {
            protocol: ", ".join(f"{name} {one[name]}" for name in names if name in one)
            for protocol, one in told.items()
        }
    return found


def _details(run: pd.Series[Any]) -> dict[str, str]:
    """What a protocol sets, what a user sets by name first; its hash, which no other has, last."""
    parameters = {name: plain(value) for name, value in run["benchmark_parameters"].items()}
    networks = {f"{name} network": _network(recipe) for name, recipe in run["networks"].items() if recipe}
    rest = ("samples", "labels", "dtype", "solver", "block", "evaluator", "protocol")
    return {**parameters, **networks, **{name: str(run[name]) for name in rest}}


def _telling(protocols: Sequence[Mapping[str, str]]) -> list[str]:
    """Details, each of which tells more protocols apart than those before it did."""
    names: list[str] = []
    groups = 1
    for name in dict.fromkeys(name for one in protocols for name in one):
        apart = len({tuple(one.get(known) for known in (*names, name)) for one in protocols})
        if apart > groups:
            names, groups = [*names, name], apart
    return names


def note(best: pd.DataFrame, primary: Column) -> str:
    """How the rows of a table of best settings were chosen, and what the numbers are."""
    tuned = best[best["method"] != "none"]
    sentences = [
        "One setting of each method: none was chosen on the samples that are scored."
        if len(tuned) and tuned["settings"].max() == 1
        else f"Each method's best setting by {primary.label}, chosen on the same samples that are scored: this "
        "flatters a method the more, the more settings were tried (column Settings).",
    ]
    if best["held_out"].notna().any():
        sentences.append(
            f"{primary.title} held out is free of that: each seed is scored at what was best on the other seeds."
        )
    if best["gain"].notna().any():
        sentences.append(f"{primary.title} gain is the improvement over none.")
    if tuned["settings"].nunique() > 1:
        sentences.append("The methods were not given the same number of settings.")
    if any(best["ties"]):
        sentences.append(
            f"Methods that share a letter (column Ties) cannot be told apart by {primary.title} held out: paired t "
            "over the seeds (moderated by all pairs), Holm's correction over all pairs, 5 %."
        )
    sentences.append(_seeds(best))
    sentences += _lacking(best)
    return " ".join(sentences)


def short_note(best: pd.DataFrame, primary: Column) -> str:
    """The same for a table without the columns that :func:`note` speaks of."""
    tried = best.loc[best["method"] != "none", "settings"]
    few, many = (int(tried.min()), int(tried.max())) if len(tried) else (1, 1)
    number = f"{few}" if few == many else f"{few} to {many}"
    plural = "" if many == 1 else "s"
    return (
        f"Each method's best by {primary.title} of {number} setting{plural}, chosen on the samples that are scored. "
        f"{_seeds(best).partition(' (column')[0].rstrip('.')}."
    )


def _lacking(best: pd.DataFrame) -> list[str]:
    """Which seeds rank the methods, where not all methods have the same ones."""
    shared = set(best["shared_seeds"].iloc[0])
    every = set().union(*best["seeds"])
    if all(set(seeds) == every for seeds in best["seeds"]):
        return []
    lacking = [
        f"{method} lacks {', '.join(map(str, sorted(every - set(seeds))))}"
        for method, seeds in zip(best["method"], best["seeds"], strict=True)
        if every - set(seeds)
    ]
    listed = "; ".join(lacking[:8]) + (f"; and {len(lacking) - 8} more" if len(lacking) > 8 else "")
    return [f"Ranks are over the seeds that all methods have ({', '.join(map(str, sorted(shared)))}): {listed}."]


#: Fréchet distances of fewer samples need a word on their bias.
ENOUGH = 10_000


def bias_note(settings: pd.DataFrame, metrics: Sequence[Column]) -> str:
    """What few samples do to Fréchet distances; "" where there are enough, or none is shown."""
    samples = int(settings["samples"].iloc[0])
    shown = [column for column in metrics if column.base in ("fid", "sfid", "frechet_distance")]
    if samples >= ENOUGH or not shown:
        return ""
    titles = ", ".join(column.title for column in shown)
    limit = any(column.base == "fid_infinity" for column in metrics)
    way = "FID infinity beside it is extrapolated" if limit else "the metric fid_infinity extrapolates"
    return (
        f"{titles} of {samples:,} samples is biased upwards, by about a constant over that number: compare equal "
        f"numbers of samples only; {way} to infinitely many (arXiv 1911.07023)."
    )


def _seeds(best: pd.DataFrame) -> str:
    if best["n"].nunique() > 1:
        return "Mean ± standard deviation over seeds (column Seeds); gains are over the seeds shared with none."
    count = int(best["n"].iloc[0])
    return f"Mean ± standard deviation over {count} seeds." if count > 1 else "One seed, so no spread is known."
