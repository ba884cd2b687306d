"""The committed page and LEADERBOARD.md are those of the committed records, byte for byte."""

from __future__ import annotations

import re

from guidance_bench.experiments.records import committed_results
from guidance_bench.leaderboard.collection import boards_of, markdown_of, page_of
from guidance_bench.leaderboard.page.render import unpack

PLACE = committed_results()
AGAIN = "run: guidance-bench leaderboard all=true"
DATA = re.compile(r'(?<=id="data">)[^<]*')


def found():
    return {folder.name: boards_of(folder) for folder in sorted(PLACE.iterdir()) if (folder / "records").is_dir()}


def test_the_committed_leaderboard_is_that_of_the_records():
    boards = found()
    committed = (PLACE.parent / "LEADERBOARD.md").read_text(encoding="utf-8")
    assert committed == markdown_of(PLACE, boards), AGAIN
    page = (PLACE.parent / "leaderboard.html").read_text(encoding="utf-8")
    made = page_of(PLACE, boards)
    # zlib's versions pack in different ways; what is packed is compared, and the rest byte for byte.
    assert unpack(page) == unpack(made) and DATA.sub("", page) == DATA.sub("", made), AGAIN


def test_every_file_that_it_names_is_there():
    text = (PLACE.parent / "LEADERBOARD.md").read_text(encoding="utf-8")
    for path in re.findall(r"\]\(([^)]+)\)", text):
        assert (PLACE.parent / path).exists(), path
    data = unpack((PLACE.parent / "leaderboard.html").read_text(encoding="utf-8"))
    assert data["records"] == {} and len(data["boards"]) >= 3
    for board in data["boards"]:
        run = board["runs"][0][0][0]
        assert (PLACE.parent / board["file"].replace("*", run)).exists()
        assert all((PLACE.parent / picture["address"]).exists() for picture in board["pictures"])
