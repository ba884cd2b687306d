"""What the figures show, read back from their axes."""

from __future__ import annotations

import math

import matplotlib
import numpy as np
import pytest
from synthetic_records import BASE, line_up, record_of, table_of

from guidance_bench.guidance.method import METHODS
from guidance_bench.leaderboard.figures.overview import (
    cost_figure,
    precision_recall_figure,
    scale_figure,
    write_figures,
)
from guidance_bench.leaderboard.figures.ranking import ranking_figure
from guidance_bench.leaderboard.figures.style import (
    COLOURS,
    HIDDEN,
    MANY,
    NEUTRAL,
    PLACES,
    STRANGERS,
    ceiling,
    look_of,
    looks,
    style,
)

FD = "frechet_distance_digits_cnn"


@pytest.fixture(scope="module")
def table():
    return table_of(line_up((0, 1, 2)))


def curve(axes):
    """The line through the means: the one with a marker and more than one point."""
    return next(line for line in axes.lines if len(line.get_xdata()) > 1 and line.get_linestyle() == "-")


def test_scale_panels_show_the_means_and_none(table):
    with style():
        figure = scale_figure(table)
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes}
    assert sorted(panels) == ["autoguidance", "cfg", "ig", "ig_cfg"]
    assert panels["ig_cfg"].get_xlabel() == "ig_scale" and panels["ig"].get_xlabel() == "scale"
    for method, axes in panels.items():
        own = table.settings[table.settings["method"] == method]
        assert curve(axes).get_ydata() == pytest.approx(own[FD].to_numpy())
        neutral = [line for line in axes.lines if line.get_color() == NEUTRAL]
        assert neutral[0].get_ydata()[0] == pytest.approx(table.settings[FD].iloc[0])
    assert figure.axes[0].get_ylabel() == "FD (digits CNN) ↓"


def test_curves_are_means_over_seeds_on_a_logarithmic_axis_too():
    values = {1.1: (1.0, 30.0), 1.2: (2.0, 80.0), 1.4: (1.5, 20.5)}
    records = [
        record_of("cfg", {"scale": scale}, seed, {**BASE, "frechet_distance": value})
        for scale, both in values.items()
        for seed, value in enumerate(both)
    ]
    axes = scale_figure(table_of(records)).axes[0]
    assert axes.get_yscale() == "log"
    line = curve(axes)
    assert list(line.get_xdata()) == [1.1, 1.2, 1.4] and list(line.get_ydata()) == [15.5, 41.0, 11.0]


def test_a_thousand_points_are_pixels_in_vector_files(tmp_path):
    records = line_up((0,), {"cfg": ("scale", [1.01 + i / 1000 for i in range(MANY + 1)])})
    sizes = {}
    for name, some in (("many", records), ("some", records[1:])):
        figure = write_figures(table_of(some), tmp_path / name, "", {})[0]
        sizes[name] = figure.svg.stat().st_size
        assert ("<image" in figure.svg.read_text()) == (name == "many")
    assert sizes["many"] < sizes["some"]


def test_a_panel_of_many_settings_holds_no_more_drawings_than_one_of_few():
    """Drawn as one line, one band and one cloud of points, or ten thousand runs would take minutes."""
    counts = []
    for settings in (5, 300):
        grid = {"cfg": ("scale", np.linspace(1.1, 1.4, settings).tolist())}
        axes = scale_figure(table_of(line_up((0, 1), grid))).axes[0]
        counts.append((len(axes.lines), len(axes.collections), len(axes.texts), len(axes.patches)))
    assert counts[0] == counts[1] and sum(counts[0]) < 10


def test_settings_above_the_axis_are_marked(table):
    worst = table.settings[FD].max()
    none = table.settings[FD].iloc[0]
    assert ceiling(table) == pytest.approx(2 * none)
    assert worst > ceiling(table)
    with style():
        figure = scale_figure(table)
    marks = {axes.get_title(loc="left"): [m for m in axes.lines if m.get_label() == HIDDEN] for axes in figure.axes}
    assert {method: len(found) for method, found in marks.items()} == {
        "autoguidance": 0,
        "cfg": 1,
        "ig": 0,
        "ig_cfg": 0,
    }
    assert marks["cfg"][0].get_xdata()[0] == 1.4
    assert ceiling(table_of([record_of("ig"), record_of("none")])) == math.inf


def test_curves_are_kept_apart_by_what_else_varies():
    records = [
        record_of("ig_cfg", {"ig_scale": a, "cfg_scale": b}, metrics={**BASE, "frechet_distance": a + 10 * b})
        for a in (1.2, 1.4, 1.6)
        for b in (1.1, 1.3)
    ]
    with style():
        (axes,) = scale_figure(table_of(records)).axes
    drawn = {line.get_label(): line.get_ydata() for line in axes.lines if line.get_label().startswith("cfg_scale")}
    assert drawn["cfg_scale=1.1"] == pytest.approx([12.2, 12.4, 12.6])
    assert drawn["cfg_scale=1.3"] == pytest.approx([14.2, 14.4, 14.6])


def test_what_is_swept_along_stays_on_one_curve():
    records = [
        record_of("fdg", {"high_scale": h, "low_scale": (h + 1) / 2}, metrics={**BASE, "frechet_distance": h})
        for h in (1.2, 1.4, 1.8)
    ]
    with style():
        (axes,) = scale_figure(table_of(records)).axes
    assert curve(axes).get_ydata() == pytest.approx([1.2, 1.4, 1.8]) and axes.get_legend() is None


def crowd():
    """Twelve methods of three seeds beside none; the last is far worse than none."""
    records = [record_of("none", {}, seed, {**BASE, "frechet_distance": 2.0 + seed}) for seed in range(3)]
    for place in range(12):
        distance = 1.0 + 0.09 * place if place < 11 else 50.0
        for scale, seed in ((1.0, 0), (1.0, 1), (1.0, 2), (2.0, 0), (2.0, 1), (2.0, 2)):
            value = distance + (1.0 if scale == 2 else 0.0) + seed
            records.append(record_of(f"m{place:02d}", {"scale": scale}, seed, {**BASE, "frechet_distance": value}))
    return table_of(records)


def test_a_crowd_is_ranked_by_its_best_settings(tmp_path):
    table = crowd()
    with style():
        figure = ranking_figure(table)
    axes = figure.axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [*(f"m{place:02d}" for place in range(11)), "none", "m11"]
    points = {tuple(np.round(p, 6)) for c in axes.collections for p in np.asarray(c.get_offsets())}
    assert {(2.0, 0.0), (1.0, 0.0), (3.0, 0.0), (3.0, 11.0)} <= points  # best mean, seeds; none's mean
    assert not any(x > axes.get_xlim()[1] for x, _ in points)  # m11 is an arrow with its number
    texts = [text.get_text() for text in axes.texts]
    assert "51.0 " in texts and "NFE" in texts
    written = {figure.png.name for figure in write_figures(table, tmp_path)}
    assert {"ranking.png", "scale.png", "precision_recall.png", "cost.png"} == written


def test_a_crowds_other_figures_show_the_best_settings_alone():
    table = crowd()
    with style():
        figures = [precision_recall_figure(table), cost_figure(table)]
        small = cost_figure(table_of(line_up()))
    for figure in figures:
        assert figure.get_figheight() > small.get_figheight()
        drawn = [np.asarray(c.get_offsets()) for c in figure.axes[0].collections]
        assert len({tuple(p) for points in drawn for p in points.round(9)}) <= 13
        names = [text.get_text().strip() for text in figure.axes[0].texts if text.get_text().strip()]
        assert sorted(names) == sorted(table.best["method"]) and not figure.legends


def test_precision_recall_and_cost_show_every_setting(table):
    with style():
        precision_recall, cost = precision_recall_figure(table), cost_figure(table)
    points = np.concatenate([c.get_offsets() for c in precision_recall.axes[0].collections if len(c.get_offsets())])
    expected = table.settings[["recall_digits_cnn", "precision_digits_cnn"]].to_numpy()
    assert {tuple(p) for p in expected.round(9)} <= {tuple(p) for p in np.asarray(points).round(9)}
    front = next(line for line in cost.axes[0].lines if line.get_linestyle() == ":")
    assert front.get_ydata()[0] == pytest.approx(table.best[FD].iloc[0])  # IG is cheapest and best
    assert cost.axes[0].get_xlabel().endswith("(NFE)")


def test_there_is_no_figure_without_its_data(tmp_path):
    bare = table_of([record_of(m, metrics={"frechet_distance": 2.0}) for m in ("none", "ig")])
    assert precision_recall_figure(bare) is None
    assert [figure.png.name for figure in write_figures(bare, tmp_path)] == ["scale.png", "cost.png"]
    assert write_figures(table_of([record_of("none")]), tmp_path / "one") == []


def test_looks_hang_on_the_name_alone_and_ours_are_all_distinct():
    assert looks(["ig", "none"])["ig"] == looks(METHODS.names())["ig"] == look_of("ig")
    ours = [name for name in METHODS.names() if METHODS.entry(name).source == "built in"]
    placed = [name for name in ours if name in (*PLACES, "none")]  # a new method takes the next place, at the end
    assert len(placed) >= 30 and len(set(looks(placed).values())) == len(placed) and len(set(PLACES)) == len(PLACES)
    assert len({look.colour for look in looks(["none", "cfg", "autoguidance", "ig", "ig_cfg"]).values()}) == 5
    assert look_of("mine") == look_of("mine@1a2b3c4d") and look_of("mine").marker in STRANGERS
    assert not {look.marker for look in looks(placed).values()} & set(STRANGERS)


def test_the_places_of_methods_are_for_ever():
    """Changed colours would make figures of two versions tell different stories."""
    known = {"ig": ("#b84a00", "D"), "cfg": ("#0b63ad", "o"), "apg": ("#5b5fb0", "o"), "sg_prev": ("#9c3f8f", "s")}
    assert {name: (look_of(name).colour, look_of(name).marker) for name in known} == known


@pytest.mark.parametrize("colour", COLOURS)
def test_coloured_text_can_be_read(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    luminance = sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    assert 1.05 / (luminance + 0.05) >= 4.5


def test_each_figure_says_what_it_is_of_and_is_there_for_print(table, tmp_path):
    written = write_figures(table, tmp_path)
    assert {p.suffix for figure in written for p in figure.paths} == {".png", ".svg", ".pdf"}
    with style():
        figures = [scale_figure(table), precision_recall_figure(table), cost_figure(table), ranking_figure(table)]
    for figure in figures:
        said = figure.get_suptitle()
        assert said.startswith("digits v1 · n = ") and "3 seeds" in said and table.protocol in said
    first = {p.name: p.read_bytes() for figure in written for p in figure.paths}
    again = {p.name: p.read_bytes() for figure in write_figures(table, tmp_path / "again") for p in figure.paths}
    assert first == again and len(first) == 9


def test_panels_have_axes_of_their_own_in_the_order_of_the_table(table):
    with style():
        figure = scale_figure(table)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [m for m in table.best["method"] if m in titles]
    assert len({axes.get_ylim() for axes in figure.axes}) > 1
    for axes, method in zip(figure.axes, titles, strict=True):
        own = table.best.loc[table.best["method"] == method, FD].iloc[0]
        assert axes.get_ylim()[0] < own < axes.get_ylim()[1]


def test_the_users_matplotlib_is_left_as_it_was():
    matplotlib.rcParams["font.size"] = 17.0
    try:
        with style():
            assert matplotlib.rcParams["font.size"] == 9.0
        assert matplotlib.rcParams["font.size"] == 17.0
    finally:
        matplotlib.rcdefaults()
