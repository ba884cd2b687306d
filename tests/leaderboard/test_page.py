"""The page in a real browser: search, filters, columns, sorting, cards, grids, records, dark, narrow, no request."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from screenshots import chromium
from synthetic_records import distance, line_up, record_of

from guidance_bench.experiments.records import committed_results
from guidance_bench.leaderboard.collection import boards_of, page_of
from guidance_bench.leaderboard.page.cards import cards
from guidance_bench.leaderboard.page.render import unpack
from guidance_bench.leaderboard.publish import write_leaderboard
from guidance_bench.leaderboard.registered.asking import EDIT, FIXED, HEAD, NULL, WEAK

CHROMIUM = chromium()


def test_cards_tell_what_each_method_asks_for():
    found = cards(["none", "cfg", "autoguidance", "ig", "ig_cfg", "pag", "apg", "stranger@1a2b3c4d"])
    assert {name: card["needs"] for name, card in found.items()} == {
        "none": [],
        "cfg": [NULL],
        "autoguidance": [WEAK],
        "ig": [HEAD],
        "ig_cfg": [NULL, HEAD],
        "pag": [EDIT],
        "apg": [NULL, FIXED],
        "stranger@1a2b3c4d": [],
    }
    assert found["apg"]["papers"][0]["url"] == "https://arxiv.org/abs/2410.02416"
    assert found["apg"]["idea"].startswith("CFG with momentum")


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    records = line_up((0, 1))
    images = {r["run_id"]: np.full((40, 8, 8, 1), 10 * i % 256, np.uint8) for i, r in enumerate(records)}
    return write_leaderboard(records, tmp_path_factory.mktemp("page"), samples=images)["leaderboard.html"]


def test_grids_of_every_setting_are_of_one_seed_and_exact(written):
    import base64
    import io

    from PIL import Image

    grids = unpack(written.read_text(encoding="utf-8"))["boards"][0]["grids"]
    assert {m: len(own) for m, own in grids["methods"].items()} == {
        "none": 1, "cfg": 3, "autoguidance": 3, "ig": 3, "ig_cfg": 3,
    }  # fmt: skip
    assert grids["seed"] == 0 and grids["width"] == 8
    order = [r["run_id"] for r in line_up((0, 1))]
    source = grids["methods"]["cfg"][0]["source"].split(",")[1]
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(source))).convert("L"))
    assert pixels.shape == (32, 80) and (pixels == 10 * order.index(record_id("cfg", 1.1))).all()


def record_id(method: str, scale: float) -> str:
    (found,) = [
        r["run_id"]
        for r in line_up((0,))
        if r["spec"]["method"]["name"] == method and r["spec"]["method"]["parameters"].get("scale") == scale
    ]
    return found


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium at hand")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def opened(browser, written):
    """Opens the page; afterwards there was no error and no request but for the page itself."""
    pages = []

    def go(path: Path = written, address: str = "", **options):
        page = browser.new_page(**options)
        said, asked = [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri() + address)
        page.wait_for_selector("body[data-ready=true]", timeout=30_000)
        pages.append((page, said, asked))
        return page

    yield go
    for page, said, asked in pages:
        assert said == [] and all(url.startswith(("file:", "blob:", "data:")) for url in asked)
        page.close()


def names(page) -> list[str]:
    rows = page.locator(".best tbody tr:visible:not(.more) td:first-child")
    return [text.strip() for text in rows.all_inner_texts()]


def test_search_and_filters(opened):
    page = opened()
    assert len(names(page)) == 5
    page.get_by_label("Search").fill("internal dynamics")  # in the paper's title
    assert set(names(page)) == {"ig", "ig_cfg"}
    assert page.locator(".count").inner_text() == "2 of 5 methods"
    page.get_by_label("Search").fill("")
    page.get_by_label(NULL).check()
    assert set(names(page)) == {"none", "autoguidance", "ig"}
    page.get_by_label(WEAK).check()
    page.get_by_label("NFE at most").fill("19")
    assert names(page) == []
    page.get_by_label("NFE at most").fill("20")
    assert set(names(page)) == {"none", "ig"}
    page.locator(".all > summary").click()
    page.locator(".settings tbody tr").first.wait_for()
    shown = page.locator(".settings tbody tr td:first-child").all_inner_texts()
    assert {text.strip() for text in shown} == {"none", "ig"} and len(shown) == 4


def test_the_first_click_on_a_heading_brings_the_best_on_top(opened):
    page = opened()
    for title, best in (("FD", "ascending"), ("Precision", "descending")):
        heading = page.locator(f'.best th[data-title="{title}"]')
        heading.get_by_role("button").focus()
        page.keyboard.press("Enter")  # by keyboard
        assert heading.get_attribute("aria-sort") == best
        keys = page.locator(".best tbody tr").evaluate_all(
            "(rows, at) => rows.map(r => Number(r.cells[at].dataset.key))",
            heading.evaluate("h => h.cellIndex"),
        )
        assert keys == sorted(keys, reverse=best == "descending") and len(set(keys)) > 1


def test_columns_are_the_readers_choice(opened):
    page = opened()
    heading = page.locator('.best th[data-title="Recall"]')
    assert heading.is_visible()
    page.locator(".columns summary").click()
    page.locator(".columns").get_by_label("Recall").uncheck()
    assert heading.is_hidden() and page.locator('.best th[data-title="Precision"]').is_visible()
    page.locator(".columns").get_by_label("Recall").check()
    assert heading.is_visible()


def test_a_row_opens_its_runs_and_a_run_its_record(opened):
    page = opened()
    row = page.get_by_role("button", name="ig_cfg", exact=True).first
    row.click()
    assert row.get_attribute("aria-expanded") == "true"
    links = page.locator(".more a")
    assert links.count() == 2 and "guidance-bench run benchmark=digits" in page.locator(".more").inner_text()
    run = links.first.inner_text()
    links.first.click()
    dialog = page.locator("#reading")
    assert dialog.is_visible() and json.loads(dialog.locator("pre").inner_text())["run_id"] == run
    page.keyboard.press("Escape")
    assert dialog.is_hidden()
    again = opened(address=f"#run-{run}")
    assert again.locator("#reading").is_visible() and run in again.locator("#reading h3").inner_text()


def test_the_slider_goes_through_a_methods_settings(opened):
    page = opened()
    right = page.locator(".pair > div").nth(1)
    right.locator("select").select_option("cfg")
    slider = right.locator("input[type=range]")
    sources, texts = [], []
    for place in range(3):
        slider.focus()
        if place:
            page.keyboard.press("ArrowRight")
        sources.append(right.locator("img").get_attribute("src"))
        texts.append(right.locator("output").inner_text())
    assert len(set(sources)) == 3 and [t.split(":")[0] for t in texts] == [f"cfg scale={s}" for s in (1.1, 1.2, 1.4)]
    assert right.locator("img").evaluate("i => i.complete && i.naturalWidth") == 80
    left = page.locator(".pair > div").nth(0)
    assert left.locator("output").inner_text().startswith("none") and left.locator("input[type=range]").is_disabled()


def test_cards_and_figures(opened):
    page = opened()
    page.locator(".about > summary").click()
    card = page.locator(".card", has=page.locator("h4", has_text="autoguidance"))
    assert "second network" in card.inner_text() and "arxiv.org/abs/2406.02507" in card.locator("a").get_attribute(
        "href"
    )
    pictures = page.locator(".plots img")
    assert pictures.count() == 3
    for picture in pictures.all():
        picture.scroll_into_view_if_needed()
        page.wait_for_function("i => i.complete && i.naturalWidth > 0", arg=picture.element_handle())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_follow_the_reader(opened, scheme):
    page = opened(color_scheme=scheme)
    paper, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    bright = [sum(map(int, c[4:-1].split(","))) / 3 for c in (paper, ink)]
    assert (bright[0] > 200 and bright[1] < 80) if scheme == "light" else (bright[0] < 60 and bright[1] > 200)


def test_a_phone_sees_the_first_metric_and_keeps_the_method(opened):
    page = opened(viewport={"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    metric = page.locator('.best th[data-title="FD"]').bounding_box()
    assert metric["x"] + metric["width"] <= 390
    method = page.locator(".best tbody td").first
    before = method.bounding_box()["x"]
    page.locator(".wide").first.evaluate("node => node.scrollLeft = 300")
    assert method.bounding_box()["x"] == pytest.approx(before, abs=1)


@pytest.mark.slow
def test_ten_thousand_records_are_light_and_quick(browser, opened, tmp_path):
    scales = [1 + place / 1000 for place in range(1666)]
    records = [
        record_of("ig", {"scale": s}, seed, {"frechet_distance": distance("ig", s) + seed / 10, "precision": s / 3})
        for s in scales
        for seed in range(6)
    ]
    path = write_leaderboard(records, tmp_path)["leaderboard.html"]
    assert len(records) > 9_990 and path.stat().st_size < 3_000_000
    began = time.perf_counter()
    page = opened(path)
    assert time.perf_counter() - began < 10
    page.locator(".all > summary").click()
    page.locator(".settings tbody tr").first.wait_for()
    assert page.locator(".settings tbody tr").count() == 100
    page.locator(".further").click()
    assert page.locator(".settings tbody tr").count() == 200


@pytest.fixture(scope="module")
def committed(tmp_path_factory) -> Path:
    """The page of all committed records, with the results beside it."""
    place, folder = committed_results(), tmp_path_factory.mktemp("committed")
    found = {one.name: boards_of(one) for one in sorted(place.iterdir()) if (one / "records").is_dir()}
    (folder / place.name).symlink_to(place)
    (folder / "leaderboard.html").write_text(page_of(place, found), encoding="utf-8")
    return folder / "leaderboard.html"


@pytest.mark.parametrize("width", [1440, 1240, 1024, 390])
def test_the_page_scrolls_no_way_but_down_and_a_desk_sees_whole_tables(opened, committed, width):
    """A table wider than a narrow window scrolls within itself; rows are of whole pixels, whatever the zoom of 1."""
    page = opened(committed, viewport={"width": width, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.locator(".settings tbody tr").first.wait_for()
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    tables = page.locator(".wide").evaluate_all("all => all.map((one) => one.scrollWidth - one.clientWidth)")
    assert len(tables) > 5 and (max(tables) == 0) == (width >= 1240), tables
    heights = page.locator(".best tbody tr").evaluate_all("rows => rows.map((r) => r.getBoundingClientRect().height)")
    assert all(height == round(height) for height in heights)


def test_the_page_of_all_committed_records(opened, committed):
    """Every picture and record that it names opens; printed rows stand apart; the phone scrolls no page sideways."""
    page = opened(committed, color_scheme="dark", viewport={"width": 390, "height": 800})
    assert page.locator(".board").count() >= len(list(committed_results().glob("*/records")))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for picture in page.locator(".plots img").all():
        picture.scroll_into_view_if_needed()
        page.wait_for_function("i => i.complete && i.naturalWidth > 0", arg=picture.element_handle())
    for place in range(page.locator(".board").count()):
        pair = page.locator(".board").nth(place).locator(".pair img")
        assert pair.count() == 2  # samples side by side, from the files beside the page
        for side in (0, 1):
            pair.nth(side).scroll_into_view_if_needed()
            page.wait_for_function("i => i.complete && i.naturalWidth > 0", arg=pair.nth(side).element_handle())
    board = page.locator(".board", has=page.locator("h2", has_text="digits_full")).first
    assert board.locator('.best th[data-title="Ties"]').count() == 1
    assert board.locator('.best th[data-title="Tuning samples"]').count() == 1
    board.get_by_label("Search").fill("internal dynamics")
    assert board.locator(".best tbody tr:visible").count() == 2
    board.locator(".best tbody tr:visible button").first.click()
    board.locator(".more a").first.click()
    address = page.locator("#reading a").get_attribute("href")
    assert (committed.parent / address).is_file()
    page.keyboard.press("Escape")
    printed = page.locator(".reported tbody tr")
    assert printed.count() == page.locator(".reported .tag").count() > 20
    assert page.locator(".board .best", has_text="reported").count() == 0
