"""Intervals, training steps, trajectories and marks of ties in figures, and the tuning budget, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_records import BASE, record_of

from guidance_bench.cli.main import main
from guidance_bench.experiments.records import to_frame
from guidance_bench.leaderboard.comparison.budget import with_budget
from guidance_bench.leaderboard.comparison.equal_cfg import with_equal_cfg
from guidance_bench.leaderboard.comparison.strengths import Trajectory
from guidance_bench.leaderboard.figures.convergence import convergence_figure, observed_figure, trainings
from guidance_bench.leaderboard.figures.interval import interval_figure
from guidance_bench.leaderboard.figures.overview import cost_figure, scale_figure
from guidance_bench.leaderboard.figures.style import style
from guidance_bench.leaderboard.figures.trajectory import LINES, trajectory_figure
from guidance_bench.leaderboard.protocol_tables import tables
from guidance_bench.leaderboard.publish import write_leaderboard
from guidance_bench.leaderboard.sheets import best_sheet
from guidance_bench.training.log import Log


def run(method, parameters, value, seed=0, **more):
    return record_of(method, parameters, seed, {**BASE, "frechet_distance": value}, **more)


def table_of(records):
    (table,) = tables(to_frame(records)).values()
    return table


def test_an_interval_is_a_grid_of_both_ends_with_the_best_framed():
    points = [(low, high) for low in (0.0, 0.2, 0.4) for high in (0.6, 1.0) if (low, high) != (0.4, 0.6)]
    records = [run("cfg", {"scale": 1.5, "low": low, "high": high}, 1 + low + high) for low, high in points]
    records += [run("ig", {"scale": s}, 2.0 + s) for s in (1.2, 1.4)]  # its interval is not swept
    with style():
        (axes,) = interval_figure(table_of(records)).axes
    grid = np.ma.filled(axes.images[0].get_array(), np.nan)  # (high, low)
    assert grid == pytest.approx(np.array([[1.6, 1.8, np.nan], [2.0, 2.2, 2.4]]), nan_ok=True)
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0", "0.2", "0.4"]
    assert axes.get_title(loc="left") == "cfg scale=1.5" and (axes.get_xlabel(), axes.get_ylabel()) == (
        "low (t)",
        "high (t)",
    )
    (frame,) = axes.patches
    assert frame.get_xy() == (-0.5, -0.5)  # low 0, high 0.6
    assert sorted(text.get_text() for text in axes.texts) == ["1.60", "1.80", "2.00", "2.20", "2.40"]
    assert interval_figure(table_of(records[-2:])) is None


def test_an_interval_has_its_figure_and_no_panel_over_one_end():
    points = [(low, high) for low in (0.0, 0.2, 0.4) for high in (0.6, 0.8, 1.0)]
    records = [run("cfg", {"scale": 1.5, "low": low, "high": high}, 1 + low + high) for low, high in points]
    with style():
        assert scale_figure(table_of(records)) is None
        (axes,) = scale_figure(table_of(records + [run("ig", {"scale": s}, 2.0 + s) for s in (1.2, 1.4)])).axes
    assert axes.get_title(loc="left") == "ig"


def test_a_crowd_of_single_settings_has_no_panels(tmp_path):
    records = [run(f"m{i:02d}", {"scale": 1.1}, 1.0 + i) for i in range(12)]
    assert "figures/scale.png" not in write_leaderboard(records, tmp_path / "one")
    records.append(run("m00", {"scale": 1.3}, 1.2))
    assert "figures/scale.png" in write_leaderboard(records, tmp_path / "two")


def test_a_crowds_names_lie_on_no_other_and_what_is_far_worse_is_above_the_axis():
    records = [run(f"method{i:02d}", {"scale": 1.1}, 1.0 + i / 500, nfe=32.0) for i in range(24)]
    records += [run("none", None, 1.2, nfe=16.0), run("far", {"scale": 2.0}, 5.0, nfe=32.0)]
    with style():
        figure = cost_figure(table_of(records))
        figure.draw_without_rendering()
    (axes,) = figure.axes
    assert axes.get_ylim()[1] < 1.5
    names = [text for text in axes.texts if text.get_text().strip()]
    assert {"none", "far", "method00"} <= {text.get_text().strip() for text in names} and len(names) > 8
    boxes = [text.get_window_extent().padded(-1) for text in names]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_a_narrow_figures_head_is_not_cut_off():
    with style():
        figure = scale_figure(table_of([run("ig", {"scale": s}, 2.0 + s) for s in (1.2, 1.4)]))
        figure.draw_without_rendering()
    assert figure._suptitle.get_window_extent().x1 <= figure.bbox.x1


def trained(steps, method, value, seed=0):
    networks = {"main": {"backbone": "sit", "steps": steps, "seed": seed}}
    return run(method, None, value, seed, networks=networks)


def test_convergence_is_over_tables_that_differ_in_training_steps_alone(tmp_path):
    records = [
        trained(steps, method, value * 1000 / steps + 0.1 * seed, seed)
        for steps in (1000, 250, 500)
        for method, value in (("none", 3.0), ("ig", 2.0))
        for seed in (0, 1)
    ]
    other = [run("none", None, 1.0, networks={"main": {"backbone": "sit", "steps": 250}}, samples=500)]
    found = list(tables(to_frame(records + other)).values())
    (group,) = trainings(found, {r["run_id"]: r for r in records + other})
    assert list(group) == [250, 500, 1000]
    with style():
        axes, beside = convergence_figure(group).axes
    drawn = {bars.get_label(): bars.lines[0].get_xydata() for bars in axes.containers}
    assert drawn["ig"] == pytest.approx(np.array([[250, 8.05], [500, 4.05], [1000, 2.05]]))
    assert drawn["none"][:, 1] == pytest.approx([12.05, 6.05, 3.05])
    (gain,) = [line for line in beside.lines if len(line.get_xdata()) == 3]  # none itself gains nothing
    assert gain.get_ydata() == pytest.approx(
        [100 * (a - b) / a for a, b in ((12.05, 8.05), (6.05, 4.05), (3.05, 2.05))]
    )
    files = write_leaderboard(records, tmp_path)
    named = [name for name in files if "convergence" in name]
    assert sorted(name.rpartition(".")[2] for name in named) == ["pdf", "png", "svg"]
    assert "convergence" in files["leaderboard.md"].read_text(encoding="utf-8")


def test_a_training_that_looked_at_itself_has_a_figure(tmp_path, capsys):
    words = ["recipe=digits_sit_ig", "data=digits", f"output={tmp_path}", "device=cpu", "observe_every=2"]
    small = {"hidden_size": 16, "depth": 2, "num_heads": 2, "steps": 4, "batch": 8, "warmup": 1, "tap": 1}
    assert main(["train", *words, *(f"recipe.{name}={value}" for name, value in small.items())]) == 0
    assert "figure: " in capsys.readouterr().out
    (file,) = tmp_path.glob("models/*/observed.csv")
    assert {one.suffix for one in file.parent.glob("observed.*")} == {".csv", ".png", ".svg", ".pdf"}
    rows = Log(file, ("step", "name", "value")).rows()
    with style():
        (axes,) = observed_figure(rows).axes
    drawn = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    for method in ("none", "ig"):
        own = [[row["step"], row["value"]] for row in rows if row["name"] == f"frechet_cells_{method}"]
        assert drawn[method] == own and [step for step, _ in own] == [2, 4]


def strong(records, w_e):
    return {r["run_id"]: Trajectory((1.0, 0.5), (w_e, 1.0), (w_e / 10, 0.1), (w_e + 1) / 2) for r in records}


def test_trajectories_show_both_curves_of_each_method():
    none, cfg = ([run(m, p, v, s) for s in (0, 1)] for m, p, v in (("none", None, 3.0), ("cfg", {"scale": 1.4}, 2.0)))
    measured = with_equal_cfg(table_of(none + cfg), {**strong(none, 1.0), **strong(cfg[:1], 1.4)})
    with style():
        left, right = trajectory_figure(measured).axes
    curves = [line.get_xydata().tolist() for line in left.lines[:2]]
    assert curves == [[[1.0, 1.4], [0.5, 1.0]], [[1.0, 1.0], [0.5, 1.0]]]  # the best method first
    assert right.lines[0].get_ydata() == pytest.approx([0.14, 0.1])
    assert left.get_xlim()[0] > left.get_xlim()[1]  # noise on the left, data on the right
    assert trajectory_figure(table_of(none + cfg)) is None


def test_trajectories_of_a_crowd_are_rows_of_two_maps():
    records = [run(f"m{i:02d}", {"scale": 1.1}, 1.0 + i) for i in range(LINES + 1)]
    measured = with_equal_cfg(
        table_of(records), {k: v for i, r in enumerate(records) for k, v in strong([r], i).items()}
    )
    with style():
        figure = trajectory_figure(measured)
    maps = [axes for axes in figure.axes if axes.images]
    assert len(maps) == 2 and maps[0].images[0].get_array().shape[0] == LINES + 1
    assert [text.get_text() for text in maps[0].get_yticklabels()][:2] == ["m00", "m01"]
    assert maps[0].images[0].get_array()[3][-1] == pytest.approx(3.0)  # t = 1


def test_figures_carry_the_letters_of_the_table():
    values = {("none", None): (4.0, 5.0, 6.0), ("ig", 1.4): (2.0, 3.1, 3.9), ("pag", 1.2): (2.1, 3.0, 4.0)}
    records = [run(m, s and {"scale": s}, v, seed) for (m, s), draws in values.items() for seed, v in enumerate(draws)]
    table = table_of(records)
    assert table.best.set_index("method")["ties"].to_dict() == {"ig": "a", "pag": "a", "none": "b"}
    with style():
        panels, cost = scale_figure(table), cost_figure(table)
    words = {axes.get_title(loc="left"): axes.texts[0].get_text() for axes in panels.axes}
    assert words["ig"].endswith("(a)") and words["pag"].endswith("(a)")
    (legend,) = cost.legends
    assert [text.get_text() for text in legend.get_texts()] == ["ig (a)", "pag (a)", "none (b)"]
    assert "letter shared: tied" in legend.get_title().get_text()


def test_the_budget_counts_own_settings_searches_and_pilots():
    """cfg: two settings of one seed of 1,000 samples; ig: one setting, found by a search of three trials."""
    records = [run("cfg", {"scale": s}, s) for s in (1.2, 1.4)] + [
        run("ig", {"scale": 1.7}, 1.0),
        run("none", None, 3.0),
    ]
    search = {
        "benchmark": "digits",
        "search": {"method": "ig", "seeds": [100]},
        "best": {"parameters": {"scale": 1.7}},
        "trials": [{}, {}, {}],
        "spent": 1500,
    }
    table = with_budget(table_of(records), [search])
    rows = table.best.set_index("method")
    assert rows["tried"].to_dict() == {"cfg": 2, "ig": 3, "none": 1}
    assert rows["tuned"].to_dict() == {"cfg": 2000, "ig": 1500, "none": 0}
    assert "in the runs of this table and by guidance-bench tune on seeds that are not reported (100)" in table.note
    fields = {field.title: [cell.text for cell in field.cells] for field in best_sheet(table.best, table.metrics)}
    assert sorted(fields["Tuning samples"]) == ["-", "1,500", "2,000"]
    elsewhere = {**search, "best": {"parameters": {"scale": 2.0}}}  # another setting than the row's
    assert with_budget(table_of(records), [elsewhere]).best.set_index("method")["tuned"]["ig"] == 0


def test_settings_chosen_on_another_benchmark_count_its_runs():
    """digits_methods took its grids from digits_pilot: seven settings of 500 samples for each method."""
    records = [
        run("ig", {"scale": 1.7}, 1.0, benchmark={"name": "digits_methods", "version": 1}),
        run("cfg", {"scale": 1.1}, 1.0, benchmark={"name": "digits_methods", "version": 1}),
    ]
    table = with_budget(table_of(records))
    assert table.best["tried"].tolist() == [7, 7] and table.best["tuned"].tolist() == [3500, 3500]
    assert "in benchmark digits_pilot" in table.note
