"""``evaluate`` on two processes: each makes the features of its part, and the numbers are those of one."""

from __future__ import annotations

import json
import os

import numpy as np
from commands import run, start
from fake_features import pictures
from PIL import Image
from stand_ins import adm_reference

from guidance_bench.core.processes import spread, turn

#: Puts a fake network in Inception's place and notes how many images each process gave it.
METRICS_FILE = """
import os
from pathlib import Path

from fake_features import FakeInception

from guidance_bench.features.extractors import EXTRACTORS
from guidance_bench.metrics.base import register_metric
from guidance_bench.metrics.fid import FrechetDistance


class Noting(FakeInception):
    def __call__(self, images):
        with Path(os.environ["NOTES"], os.environ.get("RANK", "0")).open("a") as file:
            file.write(f"{len(images)}\\n")
        return super().__call__(images)


def make(weights, device):
    return Noting(True)


EXTRACTORS.update(dict.fromkeys(FakeInception.makes, make))


@register_metric("mine")
class Mine(FrechetDistance):
    pass
"""
METRICS = "fid,sfid,inception_score,precision_recall"


def evaluate(folder, processes, *words):
    place = folder / str(processes)
    notes = place / "notes"
    notes.mkdir(parents=True)
    arguments = ["evaluate", *words, f"metrics={METRICS},{folder / 'mine.py'}", "device=cpu", "batch_size=4"]
    arguments += [f"output={place / 'record.json'}", f"keep_reference={place / 'kept.npz'}"]
    command = run(arguments, place / "log", processes, NOTES=str(notes))
    counts = [sum(map(int, (notes / str(rank)).read_text().split())) for rank in range(processes)]
    return json.loads((place / "record.json").read_text()), counts, command.text(), place / "kept.npz"


def test_the_numbers_are_those_of_one_process_and_the_work_is_shared(tmp_path):
    (tmp_path / "mine.py").write_text(METRICS_FILE)
    np.savez(tmp_path / "a.npz", pictures(0, 30, high=200))
    (tmp_path / "folder").mkdir()
    for i, image in enumerate(pictures(2, 41)):
        Image.fromarray(image).save(tmp_path / "folder" / f"{i:03d}.png")
    words = [str(tmp_path / "a.npz"), f"reference={tmp_path / 'folder'}", "jackknife=5"]
    one, all_images, _, kept = evaluate(tmp_path, 1, *words)
    two, shared, said, kept_of_two = evaluate(tmp_path, 2, *words)
    assert all_images == [71] and sum(shared) == 71 and shared == [16 + 21, 14 + 20]  # of 8 and of 11 batches
    for part in ("metrics", "jackknife", "samples", "evaluation_id"):
        assert one[part] == two[part], part
    assert (one["environment"]["world_size"], two["environment"]["world_size"]) == (1, 2)
    assert said.count("record: ") == 1
    with np.load(kept) as ours, np.load(kept_of_two) as theirs:
        assert set(ours) == set(theirs) and all(np.array_equal(ours[k], theirs[k]) for k in ours)


def test_the_images_in_a_statistics_file_are_shared_too(tmp_path):
    (tmp_path / "mine.py").write_text(METRICS_FILE)
    reference = adm_reference(tmp_path)
    np.savez(tmp_path / "b.npz", pictures(1, 30, size=32))
    words = [str(tmp_path / "b.npz"), f"reference={reference}"]
    one, _, _, _ = evaluate(tmp_path, 1, *words)
    two, shared, _, _ = evaluate(tmp_path, 2, *words)
    assert one["metrics"] == two["metrics"] and sum(shared) == 46 and min(shared) > 20


def test_a_mistake_ends_both_with_one_line_each(tmp_path):
    (tmp_path / "mine.py").write_text(METRICS_FILE)
    np.savez(tmp_path / "a.npz", pictures(0, 30))
    words = [
        "evaluate",
        str(tmp_path / "a.npz"),
        f"reference={tmp_path / 'gone.npz'}",
        f"metrics={tmp_path / 'mine.py'}",
    ]
    command = start(words, tmp_path / "log", 2, NOTES=str(tmp_path))
    assert command.wait(120) == [2, 2]
    assert "gone.npz' does not exist" in command.text() and "Traceback" not in command.text()


def test_one_process_does_all_of_it():
    assert turn() == (0, 1) and list(spread(range(3), str)) == ["0", "1", "2"]
    assert "RANK" not in os.environ
