"""Records into the project's results, by several calls from several output folders, and the previews beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import guidance_bench as gb
from guidance_bench.leaderboard.previews import Previews, read_preview, write_preview
from guidance_bench.leaderboard.submit import submit

TINY = Path(__file__).parents[1] / "helpers" / "tiny_benchmark.py"


@pytest.mark.parametrize(("count", "channels"), [(40, 1), (13, 3), (1, 1)])
def test_a_preview_is_the_images(count, channels, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (count, 5, 7, channels), dtype=np.uint8)
    write_preview(tmp_path / "a.png", images)
    assert np.array_equal(read_preview(tmp_path / "a.png"), images)
    (tmp_path / "a.png").write_bytes(b"no")
    with pytest.raises(gb.UserError, match=r"a\.png' is no preview"):
        read_preview(tmp_path / "a.png")


def test_previews_keep_what_was_asked_for_and_drop_the_rest(tmp_path):
    images = {name: np.full((3, 4, 4, 1), i, np.uint8) for i, name in enumerate("abc")}
    write_preview(tmp_path / "old.png", images["a"])
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
    submit(tmp_path / "two", "tiny", results)
    assert len(gb.load_results(folder)) == 3
    text = (folder / "leaderboard.md").read_text(encoding="utf-8")
    assert "cfg" in text and "samples\\_none" not in text and "figures/samples_none.png" in text
    assert "One setting of each method: none was chosen on the samples that are scored." in text
    assert len(list((folder / "previews").glob("*.png"))) == 2
