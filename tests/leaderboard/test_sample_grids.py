"""Grids of samples: tiles, columns of classes, heads, and the difference to no guidance."""

from __future__ import annotations

import numpy as np
from PIL import Image
from synthetic_records import line_up, record_of, table_of

from guidance_bench.leaderboard.figures.grid_classes import COLUMNS, ROWS, Classes, classes_of, places
from guidance_bench.leaderboard.figures.overview import (
    write_figures,
)
from guidance_bench.leaderboard.figures.sample_grids import (
    CELL,
    StoredSamples,
    in_context,
    sample_grid,
    tile,
)
from guidance_bench.storage.sample_store import SampleStore, Shard


def test_tiles_enlarge_without_smoothing():
    images = np.arange(3 * 8 * 8, dtype=np.uint8).reshape(3, 8, 8, 1)
    picture = tile(images, columns=2)
    factor = CELL // 8
    side = 8 * factor + 2
    assert picture.shape == (2 * side, 2 * side, 3)
    first = picture[1 : side - 1, 1 : side - 1]
    assert (first == images[0].repeat(factor, 0).repeat(factor, 1)).all()
    assert (picture[side + 1 : -1, 1 : side - 1][::factor, ::factor] == images[2]).all()
    assert (picture[side:, side:] == 255).all()  # an empty place
    assert tile(np.zeros((1, 64, 64, 3), np.uint8), 1).shape == (66, 66, 3)


def test_columns_are_classes_and_are_told_by_name():
    labels = np.random.default_rng(0).permutation(np.arange(100) % 10)
    assert (labels[places(labels)].reshape(ROWS, COLUMNS) == np.arange(10)).all()
    three = labels % 3
    assert (three[places(three)].reshape(ROWS, COLUMNS) == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]).all()
    assert len(set(places(three))) == ROWS * COLUMNS
    assert places(np.arange(100) % 11) is None and places(labels[:30]) is None
    digits = classes_of("digits", "balanced", 800, 200, 0)
    assert digits.heads == tuple((str(d), 1) for d in range(10))
    assert digits.real.shape == (10, 8, 8, 1) and digits.real.std() > 40
    assert classes_of("fashion_mnist", "balanced", 500, 250, 1).heads[-1] == ("ankle boot", 1)
    nothing = ("no such", "balanced", 800, 200, 0), ("folder", "balanced", 800, 200, 0), ("digits", "random", 80, 20, 0)
    assert all(classes_of(*words) == Classes() for words in nothing)
    assert classes_of("imagenet256", "random", 50_000, 250, 0).heads == ()


def test_heads_stand_over_their_columns_and_fit(tmp_path):
    images = np.zeros((20, 28, 28, 1), np.uint8)
    heads = [("a", 4), ("a very wide head in one column", 1), *((str(i), 1) for i in range(5))]
    bare, told = (sample_grid(images, tmp_path / f"{len(h)}", 10, "title", h) for h in ([], heads))
    before, after = (np.asarray(Image.open(figure.png).convert("L")) for figure in (bare, told))
    sheet = tile(images, 10)
    assert (after[-len(sheet) :] == sheet[..., 0]).all()
    band = after[-len(sheet) - (len(after) - len(before)) : -len(sheet)] < 200
    wide = sheet.shape[1] / 10
    inked = np.flatnonzero(band.any(axis=0))
    assert abs(inked[inked < 4 * wide].mean() - 2 * wide) < 3  # "a" in the middle of its four columns
    assert inked[inked > 4 * wide].min() > 4 * wide + 1  # the wide one begins inside its own


def test_the_grid_is_written_pixel_by_pixel(tmp_path):
    for size, channels, columns in ((8, 1, 10), (8, 3, 7), (32, 3, 10), (64, 1, 3)):
        images = np.random.default_rng(0).integers(0, 256, (20, size, size, channels), dtype=np.uint8)
        figure = sample_grid(images, tmp_path / "grid", columns, title="ig scale=1.7\nFD 2.09")
        saved = np.asarray(Image.open(figure.png).convert("RGB"))
        expected = tile(images, columns)
        assert saved.shape[1] == expected.shape[1]
        assert (saved[-expected.shape[0] :] == expected).all()
    assert figure.svg.read_text(encoding="utf-8").startswith("<?xml")


def write_store(folder, record, labels, value):
    spec = record["spec"]
    store = SampleStore(folder / record["run_id"] / "samples", record["run_id"], spec["samples"], spec["block"])
    for start, stop in store.blocks:
        images = np.full((stop - start, 8, 8, 1), value, np.uint8)
        images[:, 0, 0, 0] = labels[start:stop]
        store.write(Shard(start, stop, images, labels[start:stop], {"seconds": 1.0}))
    return store


def test_grids_show_the_same_places_of_every_run(tmp_path):
    records = [record_of("none"), record_of("ig"), record_of("cfg")]
    labels = np.random.default_rng(1).permutation(np.arange(1000) % 10)
    for value, record in enumerate(records[:2]):
        write_store(tmp_path, record, labels, 100 + value)
    samples = StoredSamples(tmp_path, records)
    ids = [record["run_id"] for record in records]
    assert [run_id in samples for run_id in ids] == [True, True, False]
    for run_id in ids[:2]:
        shown = samples[run_id][:, 0, 0, 0].reshape(ROWS, COLUMNS)
        assert (shown == np.arange(10)).all()  # a column a class
    next((tmp_path / ids[0] / "samples").iterdir()).unlink()
    figures = write_figures(table_of(records), tmp_path / "figures", "", StoredSamples(tmp_path, records))
    grids = [figure.png.name for figure in figures if figure.grid]
    assert "samples_ig.png" in grids and "samples_cfg.png" not in grids


def test_grids_are_all_of_one_seed(tmp_path):
    records = line_up((0, 1))
    table = table_of(records)
    chosen = {row["method"]: dict(zip(row["seeds"], row["run_ids"], strict=True)) for _, row in table.best.iterrows()}
    picture = np.zeros((40, 8, 8, 1), np.uint8)
    samples = {runs[1]: picture for runs in chosen.values()} | {chosen["ig"][0]: picture}
    grids = [figure for figure in write_figures(table, tmp_path, "", samples) if figure.grid]
    assert len(grids) == 5
    assert all("samples of seed 1" in grid.title for grid in grids)


def test_a_grid_shows_real_images_above_and_the_difference_to_none_below(tmp_path):
    images = np.full((20, 8, 8, 1), 100, np.uint8)
    plain, real = images.copy(), np.full((10, 8, 8, 1), 7, np.uint8)
    plain[3] = 40
    shown, words = in_context(images, real, plain)
    assert words == "top: real images; bottom: first samples minus none, x 2" and len(shown) == 40
    assert (shown[:10] == 7).all() and (shown[10:30] == 100).all()
    assert (shown[33] == 128 + 2 * 60).all() and (np.delete(shown[30:], 3, axis=0) == 128).all()
    assert in_context(images, np.zeros((10, 4, 4, 1), np.uint8), None)[1] == ""
    faint = images.copy()
    faint[:10] += np.arange(10, dtype=np.uint8)[:, None, None, None]
    shown, words = in_context(faint, None, images)
    assert words == "bottom: first samples minus none, x 8" and shown[20:, 0, 0, 0].tolist() == [*range(128, 201, 8)]
    grids = [
        figure
        for figure in write_figures(
            table_of([record_of("none"), record_of("ig")]),
            tmp_path,
            "",
            {record_of(m)["run_id"]: images for m in ("none", "ig")},
        )
        if figure.grid
    ]
    assert {grid.png.stem: "minus none" in grid.title for grid in grids} == {
        "samples_none": False,
        "samples_ig": True,
    }
