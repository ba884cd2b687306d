"""Records into the project's results, by several calls from several output folders, and the previews beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from synthetic_records import record_of

import guidance_bench as gb
from guidance_bench.experiments.records import read_record, read_records, seal, write_record
from guidance_bench.leaderboard.previews import Previews
from guidance_bench.leaderboard.submit import submit
from guidance_bench.storage.image_files import read_sheet, write_sheet

TINY = Path(__file__).parents[1] / "helpers" / "tiny_benchmark.py"


@pytest.mark.parametrize(("count", "channels"), [(40, 1), (13, 3), (1, 1)])
def test_a_preview_is_the_images(count, channels, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (count, 5, 7, channels), dtype=np.uint8)
    write_sheet(tmp_path / "a.png", images)
    assert np.array_equal(read_sheet(tmp_path / "a.png"), images)
    (tmp_path / "a.png").write_bytes(b"no")
    with pytest.raises(gb.UserError, match=r"a\.png' is no sheet"):
        read_sheet(tmp_path / "a.png")


def test_previews_keep_what_was_asked_for_and_drop_the_rest(tmp_path):
    images = {name: np.full((3, 4, 4, 1), i, np.uint8) for i, name in enumerate("abc")}
    write_sheet(tmp_path / "old.png", images["a"])
    shown = Previews(tmp_path, images)
    assert len(shown) == 4 and "old" in shown and "b" in shown and "d" not in shown
    assert not (tmp_path / "b.png").exists()
    assert np.array_equal(shown["b"], images["b"])
    shown.drop_others()
    assert [file.name for file in tmp_path.iterdir()] == ["b.png"]
    later = Previews(tmp_path, {})
    assert np.array_equal(later["b"], images["b"]) and list(later) == ["b"]


def test_a_study_of_two_machines_is_one_table(tmp_path):
    results = tmp_path / "results"
    size = {"samples": 80, "block": 80}
    first = gb.run(str(TINY), method="none", seeds=(0, 1), output=tmp_path / "one", **size)
    folder = submit(tmp_path / "one", "tiny", results)
    both = gb.run(
        "tiny", method=["none", "cfg"], seeds=0, output=tmp_path / "two", records=results, samples=80, block=80
    )
    assert both["time"][0] == first["time"][0]
    (folder / "figures" / "ranking.png").write_bytes(b"of records that are no longer here")
    submit(tmp_path / "two", "tiny", results)
    assert len(gb.load_results(folder)) == 3 and not (folder / "figures" / "ranking.png").exists()
    text = (folder / "leaderboard.md").read_text(encoding="utf-8")
    assert "cfg" in text and "samples\\_none" not in text and "figures/samples_none.png" in text
    assert "One setting of each method: none was chosen on the samples that are scored." in text
    assert len(list((folder / "previews").glob("*.png"))) == 2


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_second_machines_record_of_a_run_is_kept_and_shown(order, tmp_path, capsys):
    """Beside the first, whichever came first; the latest has the run's name and counts in the table."""
    base = record_of("none")
    machines = [("one", "2026-01-01T00:00:00Z"), ("two", "2026-02-01T00:00:00Z")]
    made = [seal({**base, "time": time, "environment": {"device": name}}) for name, time in machines]
    made[1]["metrics"] = {**made[1]["metrics"], **record_of("none", metrics={"frechet_distance": 2.7})["metrics"]}
    made[1] = seal(made[1])
    for turn in (*order, *order):
        folder = tmp_path / f"machine{turn}"
        write_record(folder / base["run_id"] / "record.json", made[turn])
        place = submit(folder, "digits", tmp_path / "results")
        say = capsys.readouterr().out
    run_id = base["run_id"]
    assert f"{run_id}: already there" in say
    names = {f"{run_id}.json": "two", f"{run_id}-{made[0]['sha256'][:8]}.json": "one"}
    found = {file.name: read_record(file)["environment"]["device"] for file in (place / "records").iterdir()}
    assert found == names and len(read_records(place)) == 2
    text = (place / "leaderboard.md").read_text(encoding="utf-8")
    assert "Made more than once, on 2 machines: 1 run; the latest record counts." in text
    assert "differs by at most 0.04 between its records" in text and "| 2.70 " in text
