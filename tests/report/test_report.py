"""The reproducibility report: verdicts, tolerances by hand, what the two files hold."""

from __future__ import annotations

import copy
import html.parser
import json
import math
import re
from pathlib import Path

import pytest

import guidance_bench as gb
from guidance_bench.cli.main import main
from guidance_bench.core.identity import short_hash
from guidance_bench.experiments.records import SCHEMA, metric_values, read_record, seal, validate
from guidance_bench.guidance.method import METHODS
from guidance_bench.report.contents import sections, told_once
from guidance_bench.report.facts import Facts
from guidance_bench.report.published_rows import compare
from guidance_bench.report.tolerance import tolerance
from guidance_bench.storage.hub import known_checkpoints

DIGITS = Path(gb.__file__).parents[1] / "benchmarks" / "results" / "digits_full" / "records"


def published(row: str, shift: float = 0.0, seed: int = 0) -> dict:
    """A record as the row's run would give on the published files, its numbers ``shift`` tolerances away."""
    benchmark = gb.BENCHMARKS.create("imagenet256", row=row)
    line, about = benchmark.published_row, benchmark.about
    solver, method = benchmark.default_solver(), METHODS.create(line.method, **line.parameters)
    vae = about.autoencoder
    pinned = known_checkpoints()[{"sd_vae_ema": "sd-vae-ema", "va_vae": "va-vae"}[vae.name]].sha256
    rule = vae.parameters["uint8_rule"]
    spec = {
        "benchmark": {
            "name": "imagenet256", "version": 1, "parameters": {},
            "autoencoder": {"name": vae.name, "weights": [pinned], "uint8_rule": rule},
        },
        "networks": {"main": {"backbone": "sit", "name": line.backbone, "sha256": "1" * 64}},
        "method": {"name": line.method, "parameters": method.parameters(), "plugin_sha256": None},
        "solver": {"name": solver.name, "parameters": solver.parameters()},
        "labels": line.labels, "samples": 50_000, "block": 250, "precision": "tf32",
        "metrics": list(benchmark.metrics), "seed": seed,
    }  # fmt: skip
    moved = {k: v + shift * tolerance(k, v, [v], 50_000).total for k, v in line.numbers.items()}
    record = {
        "schema": SCHEMA, "run_id": short_hash(spec), "spec": spec,
        "metrics": {k: metric_values([v]) for k, v in moved.items()},
        "evaluator": {
            "name": "inception", "networks": [{"network": "inception-2015-12-05", "weights_sha256": "2" * 64}],
            "reference": {"kind": "statistics", "sha256": "3" * 64, "source": "adm-imagenet256"},
        },
        "networks": {"main": {"sha256": "1" * 64, "source": str(about.checkpoint)}},
        "cost": {"nfe": 250.0, "seconds": 5e4, "images_per_second": 1.0},
        "samples": {"count": 50_000, "block": 250, "digest": "4" * 64},
        "environment": {"device": "H100", "device_type": "cuda", "packages": {"torch": "2.14.1"}, "git": "abc"},
        "command": f"guidance-bench run benchmark=imagenet256 row={row}", "time": "2026-11-25T00:00:00Z",
    }  # fmt: skip
    return validate(seal(json.loads(json.dumps(record))), "made")


def test_tolerance_is_the_sum_of_its_parts_by_hand():
    one = tolerance("fid", 1.19, [1.2], 50_000)
    assert one.rounding == 0.005 and one.evaluator == 0.0015
    assert one.draws == pytest.approx(1.96 * math.sqrt(2) * 0.02 / 3.2 * 1.19)
    three = tolerance("fid", 1.19, [1.18, 1.20, 1.22], 50_000)
    assert three.draws == pytest.approx(4.302653 * 0.02 * math.sqrt(4 / 3), rel=1e-6)
    assert three.total == pytest.approx(0.0065 + three.draws)
    share = tolerance("precision", 0.79, [0.79], 50_000)
    assert share.draws == pytest.approx(1.96 * math.sqrt(2) * math.sqrt(0.79 * 0.21 / 50_000))
    assert tolerance("recall", 0.66, [0.66], 50_000).draws > 2 * share.draws  # 10,000 reference images
    assert tolerance("inception_score", 269.0, [269.0], 50_000).rounding == pytest.approx(0.05)


@pytest.mark.parametrize(
    "row", ["sit_xl_ig_cfg", "lightningdit_xl_ig_cfg", "lightningdit_xl_cfg", "lightningdit_xl_ig"]
)
@pytest.mark.parametrize(("shift", "verdict"), [(0.0, "reproduced"), (0.99, "reproduced"), (1.01, "not reproduced")])
def test_a_run_is_reproduced_within_the_tolerance_and_not_beyond(row, shift, verdict):
    found = compare([published(row, shift)])
    assert (found.name, found.differing, found.verdict) == (row, [], verdict)
    assert len(found.metrics) == 5


CHANGES = {
    "labels: balanced, published with random": lambda s: s.update(labels="balanced"),
    "N: 5000, published with 50000": lambda s: s.update(samples=5000),
    "precision: fp32, published with tf32": lambda s: s.update(precision="fp32"),
    "channels: 3, published with None": lambda s: s["method"]["parameters"].update(channels=3),
    "interval rule: step, published with None": lambda s: s["solver"]["parameters"].update(interval="step"),
    "solver steps: 125, published with 124": lambda s: s["solver"]["parameters"].update(steps=125),
    "method cfg_scale: 1.5, published with 1.45": lambda s: s["method"]["parameters"].update(cfg_scale=1.5),
    "uint8 rule: truncate, published with round": lambda s: s["benchmark"]["autoencoder"].update(uint8_rule="truncate"),
    "VAE weights: not those of va-vae": lambda s: s["benchmark"]["autoencoder"].update(weights=["5" * 64]),
}


@pytest.mark.parametrize("said", CHANGES)
def test_a_field_that_differs_is_named_and_forbids_the_verdict(said):
    record = copy.deepcopy(published("sit_xl_ig_cfg" if said.startswith("labels") else "lightningdit_xl_ig_cfg"))
    CHANGES[said](record["spec"])
    found = compare([record])
    assert said in found.differing and found.verdict == "not comparable"


def test_files_of_the_users_are_not_the_published_ones():
    record = copy.deepcopy(published("lightningdit_xl_cfg"))
    record["networks"]["main"]["source"] = "a file"
    record["evaluator"]["reference"]["source"] = "a file"
    record["evaluator"]["networks"][0]["network"] = "unknown Inception weights"
    found = compare([record])
    assert [line.partition(":")[0] for line in found.differing] == ["checkpoint", "evaluator", "reference"]


def test_a_row_whose_settings_were_not_printed_is_never_a_reproduction():
    found = compare([published("lightningdit_xl_none")])
    assert found.verdict == "not comparable"
    assert found.differing == ["solver: was not printed", "steps: was not printed", "shift: was not printed"]


def test_the_policy_of_labels_chooses_the_row():
    record = copy.deepcopy(published("lightningdit_xl_ig_cfg"))
    record["spec"]["labels"] = "balanced"
    found = compare([record])  # 1.07 with balanced labels, 1.19 with random ones
    assert found.name == "lightningdit_xl_ig_cfg_balanced" and found.row.numbers["fid"] == 1.07
    assert found.verdict == "not comparable"


def test_draws_of_several_seeds_make_the_tolerance(tmp_path):
    group = [published("sit_xl_ig_cfg", shift, seed) for seed, shift in enumerate((-0.1, 0.0, 0.1))]
    (part,) = sections([Facts(record) for record in group])
    assert part.verdict.startswith("reproduced: row sit_xl_ig_cfg")
    assert part.metrics[0] == [
        "metric", "seed 0", "seed 1", "seed 2", "mean", "sd", "published", "difference", "tolerance", "verdict",
    ]  # fmt: skip
    assert "the spread of 3 draws" in part.tolerances[0] and len(part.commands) == 3
    assert part.metrics[4][6:8] == ["0.80", "+0.0000"]  # as it is printed
    facts = {name: dict(pairs) for name, pairs in part.facts}
    assert facts["Hashes"]["benchmark autoencoder.weights[0]"] == known_checkpoints()["sd-vae-ema"].sha256
    assert facts["Cost"]["network evaluations (NFE), a sample"] == "250"  # of all three
    assert facts["Protocol"]["samples"] == "50,000 a draw, labels random, in blocks of 250"


class Sources(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.ids = [], set()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.found += [given[k] for k in ("src", "href") if given.get(k)]
        self.ids.add(given.get("id"))


def test_digits_records_are_reported_whole_and_with_nothing_from_elsewhere(tmp_path, capsys):
    files = sorted(DIGITS.glob("*.json"))[:3]
    assert main(["report", *map(str, files), f"output={tmp_path}"]) == 0
    said = capsys.readouterr().out
    assert "not comparable: no number was published" in said
    text, page = (tmp_path / "report.md").read_text(), (tmp_path / "report.html").read_text()
    parser = Sources()
    parser.feed(page)
    assert all(s.startswith(("data:", "#")) for s in parser.found)
    assert {s[1:] for s in parser.found if s.startswith("#")} <= parser.ids
    for file in files:
        record = read_record(file)
        value = next(iter(record["metrics"].values()))["mean"]
        for words in (record["sha256"], record["samples"]["digest"], record["environment"]["git"], f"{value:.4f}"):
            assert words in text and words in page
        assert record["networks"]["main"]["sha256"] in text and record["command"] in text
    assert "What was not checked" in text and "guidance-bench verify" in text
    json.loads(re.search(r"```json\n(.*?)\n```", text, re.S)[1])


def test_a_folder_of_bare_records_is_reported_in_the_order_of_settings(tmp_path, capsys):
    """As somebody sends them: files named by their runs; other JSON files beside them are none of ours."""
    for file in sorted(DIGITS.glob("*.json"))[:4]:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "notes.json").write_text("{}")
    assert main(["report", str(tmp_path), f"output={tmp_path / 'out'}"]) == 0
    verdict, place = capsys.readouterr().out.splitlines()
    page, text = (tmp_path / "out" / "report.html").read_text(), (tmp_path / "out" / "report.md").read_text()
    titles = [line for line in text.splitlines() if line.startswith("## ") and "scale=" in line]
    assert len(titles) == 4 and titles == sorted(titles)
    assert verdict == "4 settings: not comparable: no number was published for this benchmark and method"
    assert place.startswith("report: ")
    for words in (page, text):
        assert "network evaluations (NFE), a sample" in words and "A tolerance is the sum" not in words
        assert "its spread is not known" in words and "All settings" in words
        assert words.count("What all settings share") == 1 and words.count("euler shift=0 steps=20") == 1
    assert re.search(r"peak memory</th><td>[\d.]+ [MG]B<", page)


def test_what_all_settings_share_is_told_once_and_nothing_is_lost():
    records = [read_record(file) for file in sorted(DIGITS.glob("*.json"))[:4]]
    parts = sections([Facts(record) for record in records])
    shared, own = told_once(parts)
    assert "Protocol" in dict(shared.facts) and all("Protocol" not in dict(part.facts) for part in own)
    assert "nothing was compared with a published number" in shared.unchecked
    for whole, part in zip(parts, own, strict=True):
        told = [(name, pair) for facts in (shared.facts, part.facts) for name, pairs in facts for pair in pairs]
        assert sorted(told) == sorted((name, pair) for name, pairs in whole.facts for pair in pairs)
        assert sorted(shared.unchecked + part.unchecked) == sorted(whole.unchecked)
    alone, same = told_once(parts[:1])
    assert alone.facts == [] and same == parts[:1]


def test_a_metric_that_not_every_draw_has_is_said():
    whole, part = published("sit_xl_ig_cfg", 0.0, 0), published("sit_xl_ig_cfg", 0.1, 1)
    metrics = {name: value for name, value in part["metrics"].items() if name != "recall"}
    (found,) = sections([Facts(whole), Facts(validate(seal({**part, "metrics": metrics}), "made"))])
    assert "metrics that not every draw has: Recall ↑" in found.unchecked
    assert not any(line[0].startswith("Recall") for line in found.metrics)


def test_a_method_that_is_not_known_here_is_named_whole(tmp_path):
    record = json.loads(sorted(DIGITS.glob("*.json"))[0].read_text())
    record["spec"]["method"].update(name="somebodys", parameters={"scale": 1.5, "way": "up"})
    record["run_id"] = short_hash(record["spec"])
    (part,) = sections([Facts(validate(seal(record), "made"))])
    assert part.title == "digits_full: somebodys scale=1.5 way=up"


def test_an_altered_record_is_refused(tmp_path, capsys):
    record = json.loads(sorted(DIGITS.glob("*.json"))[0].read_text())
    record["metrics"]["frechet_distance_digits_cnn"].update(mean=1.0, values=[1.0])
    (tmp_path / "record.json").write_text(json.dumps(record))
    assert main(["report", str(tmp_path / "record.json"), f"output={tmp_path}"]) == 2
    assert "sha256 does not fit" in capsys.readouterr().err


def test_a_record_that_was_altered_and_sealed_anew_is_said_in_its_verdict(tmp_path, capsys):
    file = sorted(DIGITS.glob("*.json"))[0]
    record = json.loads(file.read_text())
    told = record["metrics"]["frechet_distance_digits_cnn"]["mean"]
    record["metrics"]["frechet_distance_digits_cnn"].update(mean=0.5, values=[0.5])
    (tmp_path / file.name).write_text(json.dumps(seal(record)))
    assert main(["report", str(tmp_path / file.name), f"output={tmp_path}"]) == 0
    said = capsys.readouterr().out
    assert "a record does not hold what it says: own record: the project's record has the same samples but" in said
    assert f"frechet_distance_digits_cnn is {told:.6g} there, 0.5 here" in said


def test_a_run_of_the_projects_made_again_is_told_as_that(tmp_path, capsys):
    """The same samples and metrics at another time and place; a copy of the file is no run of one's own."""
    file = sorted(DIGITS.glob("*.json"))[0]
    record = json.loads(file.read_text())
    for name, change, said in (
        ("again", {"time": "2030-01-01T00:00:00Z"}, "reproduced: samples, metrics and evaluator are those of the"),
        ("copy", {}, "not comparable: no number was published"),
    ):
        (tmp_path / f"{name}.json").write_text(json.dumps(seal(record | change)))
        assert main(["report", str(tmp_path / f"{name}.json"), f"output={tmp_path / name}"]) == 0
        assert said in capsys.readouterr().out


def test_records_of_two_machines_stand_together_and_the_samples_that_came_with_them_are_shown(tmp_path):
    """A tuning run that was made on a GPU and on a CPU: the later one counts, the earlier is told with differences."""
    folder = DIGITS.parents[1] / "fashion_mnist_tune"
    kept = {file.stem for file in (folder / "previews").glob("*.png")}
    earlier = next(f for f in sorted((folder / "records").glob("*-*.json")) if f.stem.partition("-")[0] in kept)
    run_id = earlier.stem.partition("-")[0]
    files = [folder / "records" / f"{run_id}.json", earlier]
    assert main(["report", *map(str, files), f"output={tmp_path}"]) == 0
    text, page = (tmp_path / "report.md").read_text(), (tmp_path / "report.html").read_text()
    later, first = map(read_record, files)
    assert text.count("\n## ") == 1 and later["time"] > first["time"]
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {run_id} on ")]
    device = first["environment"]["device"]
    apart = first["metrics"]["fid"]["mean"] - later["metrics"]["fid"]["mean"]
    assert device in line and f"FID ↓ {first['metrics']['fid']['mean']:.4f} ({apart:+.2g})" in line
    assert "samples with other bits" in line and device in page
    assert f"figures/run-{run_id}.png" in text and (tmp_path / "figures" / f"run-{run_id}.png").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [(["nowhere"], "does not exist"), (["out=x"], "unknown option 'out'"), (["output=x"], "one or several runs")]
    + [([str(DIGITS), "output=full.html"], "output='full.html' is to be a folder")],
)
def test_mistakes_get_one_line(words, said, capsys):
    assert main(["report", *words]) == 2
    assert said in capsys.readouterr().err
