"""The committed page and LEADERBOARD.md are those of the committed records, byte for byte."""

from __future__ import annotations

import re

from guidance_bench.experiments.records import committed_results
from guidance_bench.leaderboard.collection import all_boards, markdown_of, page_of
from guidance_bench.leaderboard.page.render import unpack
from guidance_bench.leaderboard.reported import reported_tables

PLACE = committed_results()
AGAIN = "run: guidance-bench leaderboard all=true"
DATA = re.compile(r'(?<=id="data">)[^<]*')


def test_the_committed_leaderboard_is_that_of_the_records():
    boards = all_boards(PLACE)
    assert list(boards)[:2] == ["fashion_mnist", "digits_full"]  # most samples a run first
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


def test_printed_rows_are_tables_of_their_own_marked_as_reported():
    (one,) = reported_tables()
    fields = {field.title: [cell.text for cell in field.cells] for field in one.sheet}
    assert one.benchmark == "imagenet256" and set(fields["Status"]) == {"reported"}
    place = fields["Row"].index("lightningdit_xl_ig_cfg")
    assert (fields["Method"][place], fields["FID"][place], fields["IS"][place]) == ("ig_cfg", "1.19", "269.0")
    assert fields["sFID"][fields["Row"].index("sit_b_none")] == "-"
    assert not any(cell.bold for field in one.sheet for cell in field.cells)
    assert [r.benchmark for r in reported_tables(["imagenet256_5k", "digits", "not_here"])] == ["imagenet256_5k"]
    boards = all_boards(PLACE)
    page, text = page_of(PLACE, boards), markdown_of(PLACE, boards)
    assert page.count('<span class="tag">reported</span>') == text.count("| reported |") == len(fields["Row"])
    measured = page.split('<section class="reported"')[0]
    assert "reported</span>" not in measured  # never among measured rows
