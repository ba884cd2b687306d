"""What was spent to find each method's setting: settings tried and samples made for them, wherever that was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...core.identity import canonical
from ...experiments.records import committed_results, load_results
from ..aggregate import distinct_runs
from ..registered.look_up import registered

if TYPE_CHECKING:
    from ..protocol_tables import Table

#: Settings tried, samples made for them.
Spent = tuple[int, int]


def with_budget(table: Table, tunings: Sequence[Mapping[str, Any]] = ()) -> Table:
    """The table with columns ``tried`` and ``tuned``: each method's settings and the samples spent to choose among
    them.

    Counted are the table's own settings where a method has several, the searches that found a row's setting, and the
    runs of the benchmark that this one's settings were chosen on (:attr:`Benchmark.tuned_on`).

    Args:
        table: of one protocol.
        tunings: records of searches (:func:`guidance_bench.experiments.tuning.tunings.read_tunings`).
    """
    name = str(table.settings["benchmark"].iloc[0])
    before, pilot = _elsewhere(name)
    own = _own(table)
    searches = {str(row["method"]): _searches(row, name, tunings) for _, row in table.best.iterrows()}
    parts = {
        method: [own[method], *((len(t["trials"]), int(t["spent"])) for t in found), before.get(method, (0, 0))]
        for method, found in searches.items()
    }
    totals = [tuple(map(sum, zip(*parts[str(m)], strict=True))) for m in table.best["method"]]
    tried, tuned = [max(settings, 1) for settings, _ in totals], [samples for _, samples in totals]
    if not any(tuned):
        return replace(table, best=table.best.assign(tried=tried, tuned=tuned))
    seeds = {seed for found in searches.values() for t in found for seed in t["search"]["seeds"]}
    where = ["in the runs of this table"] if any(samples for _, samples in own.values()) else []
    where += [f"by guidance-bench tune on seeds that are not reported ({_listed(seeds)})"] if seeds else []
    where += [f"in benchmark {pilot}"] if before else []
    words = f"Settings, Tuning samples: what was tried to find each method's setting, {' and '.join(where)}."
    return replace(table, best=table.best.assign(tried=tried, tuned=tuned), note=f"{table.note} {words}")


def _own(table: Table) -> dict[str, Spent]:
    """Of the table's own settings; one alone was not chosen here."""
    found: dict[str, Spent] = {}
    for method, rows in table.settings.groupby("method"):
        spent = int((rows["n"] * rows["samples"]).sum())
        found[str(method)] = (len(rows), spent) if len(rows) > 1 else (0, 0)
    return found


def _searches(row: Any, name: str, tunings: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The searches of which a row's setting is the result."""

    def found_it(tuning: Mapping[str, Any]) -> bool:
        best = tuning["best"]["parameters"]
        return all(row["parameters"].get(key) == value for key, value in best.items())

    return [t for t in tunings if t["benchmark"] == name and t["search"]["method"] == row["method"] and found_it(t)]


def _elsewhere(name: str) -> tuple[dict[str, Spent], str]:
    """By method, of the committed runs that a benchmark's settings were chosen on, and their benchmark's name."""
    known = registered().benchmarks.get(name)
    pilot = "" if known is None else known.tuned_on
    folder = committed_results() / pilot
    if not pilot or not (folder / "records").is_dir():
        return {}, pilot
    runs = distinct_runs(load_results(folder))
    settings = runs.assign(_setting=runs["parameters"].map(canonical)).groupby("method")
    return {str(m): (rows["_setting"].nunique(), int(rows["samples"].sum())) for m, rows in settings}, pilot


def _listed(seeds: set[int]) -> str:
    return ", ".join(map(str, sorted(seeds)))
