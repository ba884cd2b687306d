"""What ``guidance-bench list`` says, how wide, and that it is kept."""

from __future__ import annotations

import pytest

import guidance_bench as gb
from guidance_bench.cli.main import main
from guidance_bench.core.registry import Registry


@pytest.fixture
def built_in_alone(monkeypatch):
    """Without the plug-ins that other tests have registered: a list tells their files, words of any length."""
    names = Registry.names

    def own(registry):
        return [name for name in names(registry) if registry.entry(name).source == "built in"]

    monkeypatch.setattr(Registry, "names", own)


def test_a_list_is_kept_until_what_it_lists_changes(tmp_path, monkeypatch, capsys):
    from guidance_bench.cli.about import list as about
    from guidance_bench.cli.about import listing

    monkeypatch.setenv("GUIDANCE_BENCH_CACHE", str(tmp_path))
    calls = []
    monkeypatch.setattr(listing, "listing", lambda kinds: calls.append(kinds) or f"text {len(calls)}")
    assert main(["list", "solvers"]) == main(["list", "solvers"]) == 0
    assert capsys.readouterr().out == "text 1\ntext 1\n"
    (kept,) = tmp_path.glob("list-*.json")
    kept.write_text(kept.read_text().replace("text", "test"))  # damaged
    assert main(["list", "solvers"]) == 0 and capsys.readouterr().out == "text 2\n"
    monkeypatch.setattr(about, "state", lambda groups: "changed")
    assert main(["list", "solvers"]) == 0 and capsys.readouterr().out == "text 3\n"
    assert [*tmp_path.glob("*.json")] == [kept]


@pytest.mark.parametrize("columns", [50, 80, 160])
def test_a_list_follows_the_width_of_the_terminal(columns, monkeypatch, built_in_alone):
    from guidance_bench.cli.about.listing import listing

    monkeypatch.setenv("COLUMNS", str(columns))
    longest = max(map(len, listing(["solvers", "metrics"]).splitlines()))
    assert min(columns, 100) - 20 < longest <= min(columns, 100)


def test_list_rows_shows_what_papers_printed(monkeypatch, built_in_alone):
    monkeypatch.setenv("COLUMNS", "80")
    from guidance_bench.cli.about.listing import listing

    said = listing(["rows"])
    declared = gb.BENCHMARKS.create("imagenet256").declared.rows
    assert said.count("row=NAME") == 1  # imagenet256_5k has the same
    assert all(f"    {name}  {row.method}" in said for name, row in declared.items())
    flat = " ".join(said.split())
    assert "sit_xl_cfg cfg scale=1.5 channels=3 on SiT-XL/2" in flat and "FID 2.06, sFID 4.50, IS 270.3" in flat
    assert flat.count("not printed: ") == sum(bool(row.not_printed) for row in declared.values())
    assert max(map(len, said.splitlines())) <= 80
