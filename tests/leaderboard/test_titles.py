"""A table's title says what tells it from the others of its board."""

from __future__ import annotations

from typing import Any

from synthetic_records import line_up

from guidance_bench.experiments.records import to_frame
from guidance_bench.leaderboard.publish import publish, sweep_table, tables, write_leaderboard


def titles(records: list[dict[str, Any]]) -> list[str]:
    return sorted(table.title for table in tables(to_frame(records)).values())


def trained(steps: int, **changes: Any) -> list[dict[str, Any]]:
    parameters = {"solver_steps": 20, "train_steps": steps}
    return line_up(benchmark={"name": "digits", "version": 1, "parameters": parameters}, **changes)


def test_the_only_table_of_a_benchmark_is_titled_by_its_name():
    assert titles(line_up()) == ["digits v1"]
    other = line_up(benchmark={"name": "other", "version": 2, "parameters": {"train_steps": 5}})
    assert titles(line_up() + other) == ["digits v1", "other v2"]


def test_parameters_that_differ_are_in_the_title_and_no_more_than_tell_the_tables_apart():
    assert titles(trained(90) + trained(500)) == ["digits v1, train_steps 500", "digits v1, train_steps 90"]
    assert titles(trained(90) + trained(500, samples=500)) == [
        "digits v1, train_steps 500",
        "digits v1, train_steps 90",
    ]
    assert titles(line_up() + line_up(solver={"name": "heun", "parameters": {"steps": 10}}) + line_up(samples=500)) == [
        "digits v1, samples 1000, solver euler(shift=0.0, steps=20)",
        "digits v1, samples 1000, solver heun(steps=10)",
        "digits v1, samples 500, solver euler(shift=0.0, steps=20)",
    ]


def test_tables_that_nothing_said_tells_apart_have_their_hashes_in_the_title():
    # a part of the specification that no table speaks of
    kinds = [line_up(benchmark={"name": "digits", "version": 1, "parameters": {}, "noted": n}) for n in (1, 2)]
    found = tables(to_frame([record for kind in kinds for record in kind]))
    assert {table.title for table in found.values()} == {f"digits v1, protocol {protocol}" for protocol in found}


def test_every_form_of_the_board_has_the_title(tmp_path, capsys):
    records = trained(90) + trained(500)
    files = write_leaderboard(records, tmp_path / "written")
    publish(records, tmp_path / "published")
    texts = {name: files[f"leaderboard.{name}"].read_text(encoding="utf-8") for name in ("md", "html", "tex")}
    texts |= {"terminal": capsys.readouterr().out, "sweep": sweep_table(records)}
    forms = {
        "md": r"## digits v1, train\_steps {}",
        "html": "<h2>digits v1, train_steps {}</h2>",
        "tex": r"\caption{{Benchmark: digits v1, train\_steps {} ",
        "terminal": "digits v1, train_steps {}, protocol ",
        "sweep": "digits v1, train_steps {}, protocol ",
    }
    for name, form in forms.items():
        for steps in (90, 500):
            assert texts[name].count(form.format(steps)) == 1, name
