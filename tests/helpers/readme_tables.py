"""The tables of both READMEs, made from committed records; ``python tests/helpers/readme_tables.py`` writes them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT)]

from guidance_bench.benchmarks.fashion_mnist.grids import STRENGTHS, SWEEPS, TUNED, tried  # noqa: E402
from speed_tables import bf16_line, gpu_line, gpu_speed, grid, sampling_speed, small_speed, speed  # noqa: E402
from written_formulas import READ  # noqa: E402

from guidance_bench.core.identity import canonical  # noqa: E402
from guidance_bench.experiments.records import load_results  # noqa: E402
from guidance_bench.guidance.method import METHODS  # noqa: E402
from guidance_bench.leaderboard.collection import boards_of  # noqa: E402
from guidance_bench.leaderboard.comparison.seeds import held_out  # noqa: E402
from guidance_bench.leaderboard.formats.markdown import escape_markdown, markdown  # noqa: E402
from guidance_bench.leaderboard.metric_columns import format_means  # noqa: E402
from guidance_bench.leaderboard.publish import tables  # noqa: E402
from guidance_bench.leaderboard.sheets import best_sheet  # noqa: E402
from guidance_bench.storage.files import read_json, write_text  # noqa: E402

README = ROOT / "README.md"
STUDY_PAGE = ROOT / "benchmarks" / "fashion_mnist" / "README.md"
SPEED_PAGE = ROOT / "benchmarks" / "SPEED.md"
METHODS_PAGE = ROOT / "methods" / "README.md"
RECORDS = ROOT / "benchmarks"


#: What the table of the README leaves to the board.
LEFT_OUT = ("FID held out", "Images/s", "Settings", "Tuning samples")


def study() -> str:
    """Real images: the best setting of the five methods that most know, in the columns that a reader compares first."""
    (table,) = boards_of(RECORDS / "results" / "fashion_mnist")
    best = table.best[table.best["method"].isin(("none", "cfg", "autoguidance", "ig", "ig_cfg"))]
    return markdown([field for field in best_sheet(best, table.metrics) if field.title not in LEFT_OUT])


def digits() -> str:
    """The order of methods on digits in one sentence."""
    (table,) = boards_of(RECORDS / "results" / "digits_full")
    fields = {field.title: [cell.text for cell in field.cells] for field in best_sheet(table.best, table.metrics)}
    rows = zip(fields["Method"], fields[f"{table.primary.title} gain"], fields["Ties"], strict=True)
    order = ", ".join(f"{m} {gain} ({ties})".replace(" - (", " (") for m, gain, ties in rows)
    seeds = len(table.best["seeds"].iloc[0])
    return (
        f"On digits (`benchmark=digits_full`, {seeds} seeds that each train their own networks, Fréchet distance of a "
        f"small classifier, *not* FID, each method at its best setting) the gains are: {escape_markdown(order)}."
    )


def timing() -> str:
    record = read_json(RECORDS / "main_job.json")
    first, repeat = record["first_seconds"], record["repeat_seconds"]
    return (
        f"Measured from an installed state on {record['environment']['device']}: {first:.0f} s for the first call "
        f"({first / 60:.1f} minutes), {repeat:.0f} s for a repeat (`python -m guidance_bench.speed.main_job`)."
    )


def official() -> str:
    """The largest differences from the official programs in one sentence."""
    programs = read_json(RECORDS / "official.json")["programs"].values()
    forward, sample = (
        f"{max(values):.0e}"
        for values in ([p["forward"] for p in programs], [v for p in programs for v in p["samples"].values()])
    )
    loss = f"{max(p.get('loss', 0.0) for p in programs):.0e}"
    return (
        f"On small random models, what we compute differs from what the authors' {len(programs)} programs gave by at "
        f"most {forward} (velocity, relative L2), {sample} (samples, of the largest value) and {loss} (loss)."
    )


def tuning() -> str:
    """FID of every method at each of its strengths, the best in bold."""
    found = tried_fid()
    if not found:
        return "No run is committed yet."
    rows = [["none", f"{found[canonical(['none', {}])]:.1f}", *[""] * len(STRENGTHS)]]
    for method in SWEEPS:
        settings = [canonical([method, METHODS.create(method, **point).identity()]) for point in tried(method)]
        values = [found.get(setting) for setting in settings]
        least = min((v for v in values if v is not None), default=None)
        cells = ["" if v is None else f"**{v:.1f}**" if v == least else f"{v:.1f}" for v in values]
        rows.append([f"{method} ({SWEEPS[method].parameter})".replace("_", "\\_"), "", *cells])
    head = ["method (swept parameter)", "unguided", *(f"strength {s:g}" for s in STRENGTHS)]
    return grid(head, [row for row in rows if any(row[1:])])


def tried_fid() -> dict[str, float]:
    """FID on the tuning seed by setting; nothing where no record is committed."""
    folder = RECORDS / "results" / "fashion_mnist_tune"
    frame = load_results(folder) if folder.exists() else None
    if frame is None:
        return {}
    keys = [canonical([m, p]) for m, p in zip(frame["method"], frame["parameters"], strict=True)]
    return dict(zip(keys, frame["fid"], strict=True))


def best_tuned() -> dict[str, dict[str, Any]]:
    """What ``TUNED`` must be: of each method whose settings are all tried the one of least FID."""
    found = tried_fid()
    tuned = {}
    for method in SWEEPS:
        points = {canonical([method, METHODS.create(method, **p).identity()]): p for p in tried(method)}
        known = {key: found[key] for key in points if key in found}
        if len(known) == len(points):
            tuned[method] = points[min(known, key=known.__getitem__)]
    return tuned


def reported() -> str:
    folder = RECORDS / "results" / "fashion_mnist"
    if not folder.exists():
        return "No run is committed yet."
    (table,) = boards_of(folder)
    return f"{markdown(best_sheet(table.best, table.metrics))}\n{table.note}"


SECTIONS = {
    "study": study,
    "digits": digits,
    "timing": timing,
    "official": official,
    "gpu": gpu_line,
}
SPEED_SECTIONS = {"speed": speed, "sampling": sampling_speed, "small": small_speed, "gpu": gpu_speed, "bf16": bf16_line}


STUDY_SECTIONS = {"tuning": tuning, "reported": reported}


def study_page(text: str) -> str:
    """The page of the study of real images with its tables made anew."""
    return rendered(text, STUDY_SECTIONS)


def rendered(text: str, sections: Mapping[str, Callable[[], str]] = SECTIONS) -> str:
    """A page with every section made anew."""
    for name, make in sections.items():
        pattern = rf"<!-- {name} -->.*?<!-- /{name} -->"
        assert re.search(pattern, text, flags=re.S), name
        body = f"<!-- {name} -->\n{make().strip()}\n<!-- /{name} -->"
        text = re.sub(pattern, lambda _, body=body: body, text, flags=re.S)
    return text


def speed_page(text: str) -> str:
    """The page of what was timed."""
    return rendered(text, SPEED_SECTIONS)


def findings() -> dict[str, str]:
    """What the study of all methods found, a few words for each method."""
    (table,) = tables(load_results(RECORDS / "results" / "digits_methods")).values()
    rows = {method: group for method, group in table.settings.groupby("method")}
    none = held_out(rows["none"], table.primary)
    base = rows["none"].iloc[0]
    words = {"none": f"FD {format_means([base[table.primary.name]], [base[f'{table.primary.name}.sd']])[0]}"}
    for _, best in table.best[table.best["method"] != "none"].iterrows():
        fair = held_out(rows[best["method"]], table.primary)
        better = sum(table.primary.loss(fair[seed]) < table.primary.loss(none[seed]) for seed in none)
        verdict = {len(none): "**helps**", 0: "hurts"}.get(better, f"helps on {better} of {len(none)} seeds")
        change = 100 * (sum(fair.values()) / sum(none.values()) - 1)
        moves = [
            signed(best[c.name] - base[c.name], c.title) for n in ("precision", "recall") if (c := table.metric(n))
        ]
        words[best["method"]] = (
            f"{verdict}: FD {change:+.0f} %, {', '.join(moves)}, at {escape_markdown(best['setting'])}"
        )
    return words


def equals() -> dict[str, str]:
    """What each method has been run beside on the same tensors, and the largest difference."""
    guiders = read_json(RECORDS / "guiders.json")
    words = {
        name: [f"{guiders['program']} ({f'{value:.0e}' if value else 'exactly'})"]
        for name, value in guiders["methods"].items()
    }
    for program in read_json(RECORDS / "official.json")["programs"].values():
        largest: dict[str, float] = {}
        for run, value in program["samples"].items():
            method = next((m for m in ("ig_cfg", "ig", "cfg") if run.endswith(f"_{m}")), "none")
            largest[method] = max(value, largest.get(method, 0.0))
        for method, value in largest.items():
            words.setdefault(method, []).append(f"{program['source']} ({value:.0e}, samples)")
    for method, found in read_json(RECORDS / "formulas.json")["methods"].items():
        size = f"{found['difference']:.0e}" if found["difference"] else "exactly"
        words.setdefault(method, []).append(f"{found['program']} ({size}, formula)")
    return {method: "; ".join(programs) for method, programs in words.items()}


def signed(difference: float, title: str) -> str:
    return f"{title.lower()} {difference:+.3f}"


def methods_page(text: str) -> str:
    """The page of methods with its last two columns made anew."""
    found, equal = findings(), equals()

    def row(match: re.Match[str]) -> str:
        *cells, _, _ = match[0].rstrip("|").split("|")
        last = equal.get(match[1]) or READ[match[1]], found.get(match[1], "not in the study")
        return f"{'|'.join(cells)}| {' | '.join(last)} |"

    return re.sub(r"^\| `(\w+)` \|.*\|$", row, text, flags=re.M)


if __name__ == "__main__":
    for page, make in (
        (README, rendered),
        (METHODS_PAGE, methods_page),
        (STUDY_PAGE, study_page),
        (SPEED_PAGE, speed_page),
    ):
        write_text(page, make(page.read_text(encoding="utf-8")))
    if best_tuned() != TUNED:
        print(f"benchmarks/fashion_mnist/grids.py: TUNED must be {best_tuned()}")
