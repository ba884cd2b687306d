"""The tables and sentences of what was timed, and of what bfloat16 does, made from committed records."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from guidance_bench.speed.measure import rows as speed_rows
from guidance_bench.storage.files import read_json

RECORDS = Path(__file__).parents[2] / "benchmarks"
WORK = {
    "frechet": "Fréchet distance, 2048 dimensions",
    "precision": "precision and recall, 10,000 x 10,000",
    "features": "Inception features of 256 x 256 images",
}
PROGRAMS = {"scipy": "SciPy's sqrtm (ADM)", "torch_fidelity": "torch-fidelity"}


def sampling_speed() -> str:
    """What was measured of sampling and training, with goals, and what was missed."""
    record = read_json(RECORDS / "speed_sampling.json")
    results = record["results"]
    shares = ", ".join(f"{100 * v:.0f} % ({k})" for k, v in results["sampling"]["share_of_products"].items())
    return (
        with_goals(results)
        + f"\nMedians of {record['rounds']} alternating rounds on {record['environment']['device']} "
        f"(`guidance-bench speed only={','.join(results)}`). SiT-B/2 reaches {shares} of the machine's own rate of "
        "matrix products in the same precision."
    )


def small_speed() -> str:
    """What was measured of the digits' network, why no more can be had of it, and how time grows."""
    record = read_json(RECORDS / "speed_small.json")
    small, growth = (record["results"][name] for name in ("small", "scaling"))
    shared = small["share_of_time"]
    parts = ", ".join(f"{kind} {100 * share:.0f} %" for kind, share in shared.items())
    most = small["speed_over_plain"]["none"] / sum(shared.values())
    apart = max(small["difference"].values())
    exponents = ", ".join(
        f"{growth[name]['exponent']:.2f} over {name}" for name in growth if name not in ("samples", "methods")
    )
    blocks, batches = (sorted(map(int, growth[name]["seconds"])) for name in ("samples", "batch"))
    first = growth["batch"]["fixed_seconds"] / growth["batch"]["seconds"][str(batches[0])]
    device, threads = (record["environment"][name] for name in ("device", "threads"))
    command = f"guidance-bench speed only={','.join(record['results'])} threads={threads}"
    sentences = (
        f"Medians of {3 * record['rounds']} (growth: {record['rounds']}) alternating rounds on {device} (`{command}`); "
        f"samples of both loops differ by at most {apart:.0e} (relative L2). Both run in one process that keeps the "
        "memory of freed tensors, as each of the command line does.",
        f"Why 1.3 is missed without the compiler: without guidance {parts} of the time, and the plain loop has them "
        f"too; were all else free, the ratio would be {most:.2f}. `compile=true` fuses them and rounds otherwise.",
        f"Samples of a run are made in blocks of one size ({blocks[0]} to {blocks[-1]} samples here). Other exponents: "
        f"{exponents}. The part of a batch of {batches[0]} that does not grow: {100 * first:.0f} % of its time "
        f"(a of a + b N, fitted over {batches[0]} to {batches[-1]}). Over {len(growth['methods']['evaluations'])} "
        f"methods time grows as evaluations to the power of {growth['methods']['exponent']:.2f}.",
        "\n![What sampling costs as it grows](speed_small.png)",
    )
    return with_goals(record["results"]) + "\n" + "\n".join(sentences)


def with_goals(results: Mapping[str, Any]) -> str:
    """Every ratio that has a goal."""
    lines = [
        [work, f"{value:.2f}" if value >= 0.1 else f"{value:.4f}", goal, "yes" if met else "**no**"]
        for work, value, goal, met in speed_rows(dict(results))
    ]
    return grid(["work", "measured", "goal", "met"], lines)


def gpu_speed() -> str:
    """What was measured on a GPU, with goals, and what was missed."""
    record = read_json(RECORDS / "speed_gpu.json")
    results, where = record["results"], record["environment"]
    xl, methods, evaluation = (results[name] for name in ("sampling_gpu", "methods_gpu", "evaluation_gpu"))
    shares = ", ".join(f"{100 * v:.0f} % ({k})" for k, v in xl["share_of_products"].items())
    noise = 100 * methods["cost"]["euler_maruyama / euler"] - 100
    rates = ", ".join(f"{v / 1e12:.0f} ({k[:4]})" for k, v in xl["operations_per_second"].items())
    apart = ", ".join(f"{v:.0e} ({k})" for k, v in xl["difference"].items())
    gain = xl["operations_per_second"]["bf16 products"] / xl["operations_per_second"]["tf32 products"]
    plain = xl["share_of_products"]["tf32"] / xl["speed_over_plain"]["tf32"]
    sentences = (
        f"Medians of {record['rounds']} alternating rounds on one {where['device']}, CUDA {where['cuda']}, torch "
        f"{where['packages']['torch']} (`guidance-bench speed device=cuda`).",
        f"SiT-XL/2 runs IG+CFG at batch {xl['batch']}; IG, CFG, overhead at batch {methods['batch']} in bf16.",
        f"The card's own rate of matrix products is {rates} TFLOP/s, of which sampling reaches {shares}.",
        f"Why 3 is hard: bf16 products are {gain:.2f} times as fast as TF32 ones and the plain TF32 loop has "
        f"{100 * plain:.0f} % of their rate, so that 3 takes {300 * plain / gain:.1f} % of the rate of bf16 products; "
        f"{100 * xl['share_of_products']['bf16, compiled']:.1f} % were measured.",
        f"Samples differ from the plain TF32 loop's by {apart}: relative L2 after {xl['steps']} steps, random weights.",
        f"A stochastic solver's keyed noise adds {noise:.1f} % to a step.",
        f"Inception takes {evaluation['inception_images_per_second']:,.0f} images of 256 x 256 a second in float32.",
        f"FID, precision and recall of {evaluation['samples']:,} samples peak at "
        f"{evaluation['peak_gpu_memory'] / 1e9:.1f} GB of GPU memory.",
    )
    return with_goals(results) + "\n" + "\n".join(sentences)


def gpu_line() -> str:
    """The one sentence of the README."""
    record = read_json(RECORDS / "speed_gpu.json")
    xl = record["results"]["sampling_gpu"]
    fast = "bf16, compiled"
    return (
        f"On one {record['environment']['device']}, SiT-XL/2 with IG+CFG in bf16 and compiled is "
        f"{xl['speed_over_plain'][fast]:.2f} times as fast as the programs' loop in TF32 and "
        f"{xl['speed_over_plain_bf16'][fast]:.2f} times as fast as that loop in bf16, at "
        f"{100 * xl['share_of_products'][fast]:.0f} % of the card's rate of matrix products."
    )


def speed() -> str:
    record = read_json(RECORDS / "speed.json")
    rows = []
    for work, result in record["results"].items():
        for program, ratio in result["times_ours_by_median"].items():
            if program == "ours":
                continue
            memory = result.get("peak_ratio", {}).get(program)
            difference = result.get("relative_difference")
            error = difference.get(program) if isinstance(difference, dict) else difference
            rows.append([WORK[work], PROGRAMS[program], f"{ratio:.1f}", f"{memory:.1f}" if memory else "", error])
    head = ["work", "against", "its time / ours", "its peak memory / ours", "relative difference"]
    return (
        grid(head, rows)
        + f"\nMedians of alternating runs on {record['environment']['device']} (`guidance-bench speed`)."
    )


def bf16_line() -> str:
    """What bfloat16 does to digits, paired by method and seed."""
    record = read_json(RECORDS / "bf16_digits.json")
    pairs = record["pairs"]
    primary = next(name for name in pairs[0]["fp32"] if name.startswith("frechet"))
    changes = [pair["bf16"][primary] / pair["fp32"][primary] - 1 for pair in pairs]
    methods = sorted({pair["method"]["name"] for pair in pairs})
    least, most, mean = (100 * value for value in (min(changes), max(changes), sum(changes) / len(changes)))
    seeds = len({pair["seed"] for pair in pairs})
    return (
        f"On digits, bf16 changes the Fréchet distance of {', '.join(methods)} by {least:+.1f} to {most:+.1f} % "
        f"(mean {mean:+.2f} %; same networks and noise, {seeds} seeds)."
    )


def grid(head: list[str], rows: list[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *([cell(c) for c in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def cell(value: Any) -> str:
    return "" if value is None else f"{value:.1e}" if isinstance(value, float) else str(value)
